#pragma once

#include <optional>
#include <string>

#include "policy/catalogue/codes.h"
#include "policy/catalogue/enhanced.h"

namespace replygate {

// What one attempt to deliver to one recipient came to, as somebody else wrote it. Text of strangers: data, never a
// template.
struct RemoteStatus {
  std::optional<int> code;               // 200..599
  std::optional<EnhancedCode> enhanced;  // may contradict the code
  std::string text;              // what the server said, in one line, without codes; all there is where it gave no code
  std::string host;              // the server, "" where nothing names it
  std::string recipient;         // "" where nothing names it
  std::optional<Command> at;     // what the reply answered
  std::optional<Severity> told;  // what an MTA's log or report says of the attempt (status=, Action:)
  std::string id;                // under which our MTA knows the message, "" where nothing names it
  bool own = false;              // our own server refused, it speaks of no remote one
  bool reported = false;         // a feedback report is about it, whatever became of the message
  bool unasked = false;          // our own server gave up by itself, and asked nobody
};

}  // namespace replygate

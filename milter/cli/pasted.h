#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/catalogue/enhanced.h"

namespace replygate {

// What can be made out of a bounce that somebody pasted.
struct PastedReply {
  int code = 0;
  std::optional<EnhancedCode> enhanced;
  std::string text;  // of all lines, joined by one blank
  std::string host;  // the remote MTA, "" where the text names none
};

// Finds the first SMTP reply in a text: one line, several ("550-5.1.1 …" / "550 5.1.1 …"), a log line or a delivery
// report. Nothing where there is none.
std::optional<PastedReply> take_apart(std::string_view text);

}  // namespace replygate

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "milter/import/writer.h"

// Actions of postfwd.
namespace replygate::import::postfwd {

struct Answer {
  enum class Kind : std::uint8_t {
    nothing,  // logs, or does not exist: the next rule is asked
    lines,    // `lines` of a rule
    limit,    // of rate() and rcpt()
    lost,
  };
  Kind kind = Kind::lost;
  std::vector<std::pair<std::string, std::string>> lines;
  bool shields = false;  // mail that it answers passes, so that later rules are not asked for it
  std::string jump;      // the rule that is asked next
  std::string key;       // of a limit: the attribute
  std::string limit;     // "100 recipients / 1h"
  bool at_data = false;  // counts recipients there
  std::string why;       // of lost and nothing
  std::string unsaid;    // what it would have logged, and nobody does
};

// `text`: what stands behind "action=".
Answer answer_of(std::string_view text);

}  // namespace replygate::import::postfwd

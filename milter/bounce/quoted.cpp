#include "milter/bounce/quoted.h"

#include "policy/mail/text.h"

namespace replygate {
namespace {

// Of Sendmail's transcript of a session.
bool is_dialogue(std::string_view line) { return line.starts_with(">>> "); }

}  // namespace

std::string_view without_quote_signs(std::string_view line) {
  while (line.starts_with('>') && !is_dialogue(line)) {
    line.remove_prefix(1);
    if (line.starts_with(' ')) line.remove_prefix(1);
  }
  return line;
}

std::string quoted_in(std::string_view text) {
  std::string quoted;
  int lines = 0;
  for (const std::string& line : lines_of(text)) {
    if (!line.starts_with('>') || is_dialogue(line)) continue;
    ++lines;
    (quoted += without_quote_signs(line)) += '\n';
  }
  return lines < 2 ? "" : quoted;
}

}  // namespace replygate

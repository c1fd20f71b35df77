#include "milter/bounce/mbox.h"

#include <re2/re2.h>

#include <algorithm>

#include "policy/base/re2_piece.h"

namespace replygate {
namespace {

constexpr std::string_view kSeparator = "From ";

// "From MAILER-DAEMON Sun Nov 29 10:00:00 2026": a line of a message may begin with the word, too.
bool is_separator(std::string_view line) {
  static const re2::RE2 kTime(R"( \w{3} +\d{1,2} \d\d:\d\d(:\d\d)? ([+-]?\w+ )*\d{4}\s*$)");
  return line.starts_with(kSeparator) && re2::RE2::PartialMatch(to_piece(line), kTime);
}

std::string_view line_at(std::string_view text, std::size_t begin) {
  return text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
}

// Where the next message begins, behind an empty line.
std::size_t next_message(std::string_view text, std::size_t from) {
  while (true) {
    const std::size_t at = text.find("\nFrom ", from);
    if (at == std::string_view::npos) return text.size();
    const bool after_empty = at > 0 && (text[at - 1] == '\n' || text.substr(0, at).ends_with("\n\r"));
    if (after_empty && is_separator(line_at(text, at + 1))) return at + 1;
    from = at + 1;
  }
}

}  // namespace

std::vector<std::string_view> messages_of(std::string_view text) {
  if (!is_separator(line_at(text, 0))) return {text};
  std::vector<std::string_view> messages;
  while (!text.empty()) {
    const std::size_t end = next_message(text, 1);
    messages.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return messages;
}

}  // namespace replygate

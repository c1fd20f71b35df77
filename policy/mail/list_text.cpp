#include "policy/mail/list_text.h"

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate {
namespace {

// The line up to its comment. A quote that is never closed is none.
std::string_view cut_at_comment(std::string_view line, bool heed_quotes) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && quoted) {
      ++i;
    } else if (line[i] == '"') {
      quoted = heed_quotes && !quoted;
    } else if (line[i] == '#' && !quoted && (i == 0 || is_blank(line[i - 1]))) {
      return line.substr(0, i);
    }
  }
  return quoted ? cut_at_comment(line, false) : line;
}

bool is_expression(std::string_view text) { return text.size() >= 2 && text.starts_with('/') && text.ends_with('/'); }

}  // namespace

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

bool is_utf16(std::string_view text) { return text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"); }

std::string_view without_comment(std::string_view line) {
  line = trim(line);
  if (line.find('#') == std::string_view::npos) return line;
  if (!line.starts_with('/')) return trim(cut_at_comment(line, true));
  // The comment begins behind the slash that closes the expression.
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t begin = std::min(line.find('#', at), line.size());
    const std::string_view entry = trim(line.substr(0, begin));
    if (begin > 0 && begin < line.size() && is_blank(line[begin - 1]) && is_expression(entry)) return entry;
    at = begin + 1;
  }
  return line;
}

}  // namespace replygate

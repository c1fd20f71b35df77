#pragma once

#include <string_view>

// The text of lists in files: one entry a line. Pure; any thread.
namespace replygate {

// What stands behind a UTF-8 byte-order mark (RFC 3629 §6), which editors put in front and people do not see.
std::string_view without_byte_order_mark(std::string_view text);
// UTF-16 with its mark, in which no entry would ever be found.
bool is_utf16(std::string_view text);

// A line without its comment, trimmed. '#' begins a comment at the beginning of a line and behind a blank, but for one
// within quotes or within a /regular expression/.
std::string_view without_comment(std::string_view line);

}  // namespace replygate

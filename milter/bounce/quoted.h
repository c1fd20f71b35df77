#pragma once

#include <string>
#include <string_view>

namespace replygate {

// The lines that somebody quotes with "> " in a text, without those signs, whatever the depth; "" where fewer than two
// lines are quoted. The dialogue of a Sendmail report (">>> RCPT To") is no quotation. Linear time.
std::string quoted_in(std::string_view text);

// "> > text" is "text".
std::string_view without_quote_signs(std::string_view line);

}  // namespace replygate

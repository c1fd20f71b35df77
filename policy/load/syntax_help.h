#pragma once

#include <string>
#include <string_view>

namespace replygate {

// What to do about text that TOML cannot read. `said` is the parser's complaint, at `line` and `column` of `text`,
// from 1.
std::string syntax_help(std::string_view text, unsigned line, unsigned column, std::string_view said);

}  // namespace replygate

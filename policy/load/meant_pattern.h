#pragma once

#include <string>
#include <string_view>

namespace replygate {

// What to write for a pattern in the syntax of Exim, postfwd or Postfix: "+local_domains", "=~ /x/", "lsearch;/file",
// "!$list". "" for what is in none. Pure.
std::string foreign_pattern_help(std::string_view text);

}  // namespace replygate

#pragma once

#include <string>
#include <string_view>
#include <vector>

// The rule set of postfwd as text: lines, macros, items. As postfwd 1.35 and 2.x read it.
namespace replygate::import::postfwd {

// "sender=~/x/" in its parts. `sign` is one of == != =~ !~ =< => < > !< !> =.
struct Item {
  std::string key;
  std::string sign;
  std::string value;
};

struct Line {
  unsigned number = 0;  // of its first line in the file
  std::string text;     // with macros in their place
  std::vector<Item> items;
  std::string why;  // why postfwd passes over the line; "" where it does not
};

// Definitions of macros are no lines.
std::vector<Line> lines_of(std::string_view text);

}  // namespace replygate::import::postfwd

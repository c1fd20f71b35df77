#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// Rows of text in columns, as wide as the terminal allows: where it is too narrow the widest column is cut, which a
// '~' shows. Columns without anything in them are left out. The first row is the head. Columns of numbers are those
// whose head begins with a blank; they go right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }  // as many as the head has

  std::string text(std::size_t width) const;  // lines; 0: as wide as it is

 private:
  bool is_empty(std::size_t column) const;

  std::vector<std::vector<std::string>> rows_;
};

// The text in lines of at most `width` octets, broken at blanks; all but the first begin with `indent` blanks, which
// the first is taken to have, too. 0: in one line. A word that is longer stays whole.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

// "head      text" and LF: the text begins in column `indent`, and is wrapped there to what the terminal has.
std::string labelled(std::string_view head, std::size_t indent, std::string_view text);

// Lines, each wrapped where it is longer than `width`, its rest two blanks behind where it began. 0: as they are.
std::string fitted(std::string_view lines, std::size_t width);

// Of the terminal that the descriptor is; 0 where it is none.
std::size_t terminal_width(int descriptor = 1);

}  // namespace replygate

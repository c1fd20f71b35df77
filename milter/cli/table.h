#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace replygate {

// Rows of text in columns, as wide as the terminal allows: where it is too narrow the widest column is cut, which a
// '~' shows. The first row is the head. Columns of numbers are those whose head begins with a blank; they go right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }  // as many as the head has

  std::string text(std::size_t width) const;  // lines; 0: as wide as it is

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Of the terminal that stdout is; 0 where it is none.
std::size_t terminal_width();
// stdout is a terminal, and nobody has set NO_COLOR.
bool wants_color();

}  // namespace replygate

#include "milter/cli/table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace replygate {
namespace {

constexpr std::size_t kNarrowest = 8;  // a column that was cut
constexpr std::size_t kGap = 2;

void narrow(std::vector<std::size_t>& widths, std::size_t width) {
  const auto total = [&] {
    std::size_t sum = kGap * (widths.size() - 1);
    for (const std::size_t w : widths) sum += w;
    return sum;
  };
  while (width > 0 && total() > width) {
    const auto widest = std::ranges::max_element(widths);
    if (*widest <= kNarrowest) return;
    *widest -= std::min(total() - width, *widest - kNarrowest);
  }
}

}  // namespace

// A column of which no row has anything takes no room from the others.
bool Table::is_empty(std::size_t column) const {
  return rows_.size() > 1 &&
         std::all_of(rows_.begin() + 1, rows_.end(), [&](const auto& row) { return row[column].empty(); });
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> columns;
  for (std::size_t i = 0; i < rows_.front().size(); ++i) {
    if (!is_empty(i)) columns.push_back(i);
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < columns.size(); ++i) widths[i] = std::max(widths[i], row[columns[i]].size());
  }
  narrow(widths, width);
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::string& full = row[columns[i]];
      const std::string cell = full.size() > widths[i] ? full.substr(0, widths[i] - 1) + '~' : full;
      const bool right = rows_.front()[columns[i]].starts_with(' ');
      if (i > 0) line += std::string(kGap, ' ');
      line += right ? fmt::format("{:>{}}", cell, widths[i]) : fmt::format("{:<{}}", cell, widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  if (width <= indent + kNarrowest) return std::string(text);
  std::string lines;
  while (text.size() > width - indent) {
    std::size_t end = text.rfind(' ', width - indent);
    if (end == std::string_view::npos || end == 0) end = text.find(' ', 1);
    if (end == std::string_view::npos) break;
    lines += fmt::format("{}\n{:{}}", text.substr(0, end), "", indent);
    text.remove_prefix(end + 1);
  }
  return lines + std::string(text);
}

std::string labelled(std::string_view head, std::size_t indent, std::string_view text) {
  return fmt::format("{:<{}}{}\n", head, indent, wrapped(text, indent, terminal_width()));
}

std::string fitted(std::string_view lines, std::size_t width) {
  std::string result;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
    const bool fits = line.size() <= width || width == 0;
    result += fits ? std::string(line) : std::string(begin, ' ') + wrapped(line.substr(begin), begin + 2, width);
    if (end < lines.size()) result += '\n';
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return result;
}

std::size_t terminal_width(int descriptor) {
  winsize size{};
  if (::isatty(descriptor) == 0 || ::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

}  // namespace replygate

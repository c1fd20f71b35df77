#include "milter/cli/table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

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

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  narrow(widths, width);
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool cut = row[i].size() > widths[i];
      const std::string cell = cut ? row[i].substr(0, widths[i] - 1) + '~' : row[i];
      const bool right = rows_.front()[i].starts_with(' ');
      if (i > 0) line += std::string(kGap, ' ');
      line += right ? fmt::format("{:>{}}", cell, widths[i]) : fmt::format("{:<{}}", cell, widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::size_t terminal_width() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

bool wants_color() {
  const char* no = ::secure_getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) != 0 && (no == nullptr || *no == '\0');
}

}  // namespace replygate

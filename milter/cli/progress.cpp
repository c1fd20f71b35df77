#include "milter/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace replygate {

void Progress::tell(const LogProgress& so_far) {
  constexpr int kWidth = 30;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_ || ::isatty(STDERR_FILENO) == 0) return;
  next_ = now + std::chrono::milliseconds(200);
  shown_ = true;
  if (so_far.of_octets <= 0) return fmt::print(stderr, "\r\x1b[K{} {}", so_far.lines, unit_);
  const double part = std::min(1.0, static_cast<double>(so_far.octets) / static_cast<double>(so_far.of_octets));
  const auto filled = static_cast<std::size_t>(part * kWidth);
  fmt::print(stderr, "\r\x1b[K[{:<{}}] {:3.0f} %  {} {}", std::string(filled, '#'), kWidth, part * 100, so_far.lines,
             unit_);
}

void Progress::clear() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace replygate

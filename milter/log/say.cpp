#include "milter/log/say.h"

#include <fmt/format.h>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

namespace replygate {

namespace {

constexpr std::size_t kAtOnce = 4096;  // what a pipe that says it can be written takes without waiting

std::atomic<std::int64_t> lost{0};  // lines

bool writable() {
  pollfd watched{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&watched, 1, 0) != 0;
}

bool write_parts(std::string_view text) {
  for (; !text.empty(); text.remove_prefix(std::min(text.size(), kAtOnce))) {
    if (!writable()) return false;
    std::fwrite(text.data(), 1, std::min(text.size(), kAtOnce), stderr);
  }
  return true;
}

// Whoever reads stderr may stand still; decisions must not.
void write_unless_it_waits(const std::string& line) {
  static std::mutex one_at_a_time;  // two would both be told that there is room for one
  const std::lock_guard lock(one_at_a_time);
  const std::int64_t before = lost;
  if (before > 0 && writable() && lost.exchange(0) > 0) {
    write_parts(fmt::format("replygate: {} lines were lost: nobody read stderr\n", before));
  }
  if (!write_parts(line)) ++lost;
}

}  // namespace

void say(std::string_view text) {
  std::string line = fmt::format("replygate: {}", text);
  std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  line += '\n';
  write_unless_it_waits(line);
}

}  // namespace replygate

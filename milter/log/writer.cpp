#include "milter/log/writer.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "milter/log/say.h"

namespace replygate {
namespace {

constexpr std::size_t kMostBacklog = std::size_t{16} << 20;
// Entries that come together are written together; this is how long the first one waits for more.
constexpr std::chrono::milliseconds kLinger{5};
constexpr std::chrono::seconds kPatience{2};

}  // namespace

Writer::Writer(int fd, bool owns, std::string name)
    : fd_(fd), owns_(owns), name_(std::move(name)), thread_([this] { run(); }) {}

Writer::~Writer() {
  if (thread_.joinable()) close();
}

void Writer::close() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
  if (owns_) ::close(fd_);
}

void Writer::write(std::string_view entry) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || backlog_.size() + entry.size() > kMostBacklog) {
      ++dropped_;
      return;
    }
    first = backlog_.empty();
    backlog_ += entry;
  }
  if (first) changed_.notify_one();
}

std::uint64_t Writer::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void Writer::run() {
  std::string batch;
  std::uint64_t reported = 0;
  std::unique_lock lock(mutex_);
  while (!stop_ || !backlog_.empty()) {
    changed_.wait(lock, [this] { return stop_ || !backlog_.empty(); });
    changed_.wait_for(lock, kLinger, [this] { return stop_; });
    batch.clear();
    std::swap(batch, backlog_);
    const std::uint64_t drops = std::exchange(reported, dropped_);
    lock.unlock();
    if (reported > drops) report_drops(reported - drops);
    const bool written = write_all(batch);
    lock.lock();
    if (!written && stop_) return;
  }
}

bool Writer::write_all(std::string_view text) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (!text.empty()) {
    const ssize_t count = ::write(fd_, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      say(fmt::format("cannot write to {}: error {}; {} octets of log are lost", name_, errno, text.size()));
      return false;
    }
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    ::poll(&ready, 1, 100);
    const std::lock_guard lock(mutex_);
    if (stop_ && std::chrono::steady_clock::now() > give_up) return false;
  }
  return true;
}

void Writer::report_drops(std::uint64_t drops) {
  say(fmt::format("{} is too slow: {} records were dropped", name_, drops));
}

}  // namespace replygate

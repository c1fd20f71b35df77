#include "milter/log/backlog.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "milter/guarded.h"
#include "milter/log/say.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

constexpr std::size_t kMostOctets = std::size_t{16} << 20;
constexpr std::size_t kOverhead = 64;  // of an entry, roughly
// Entries that come together are delivered together; this is how long the first one waits for more.
constexpr std::chrono::milliseconds kLinger{5};

}  // namespace

Backlog::Backlog(std::string name, Deliver deliver)
    : name_(std::move(name)), deliver_(std::move(deliver)), thread_([this] { run(); }) {}

void Backlog::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool Backlog::closing() const {
  const std::lock_guard lock(mutex_);
  return closing_;
}

void Backlog::add(std::string entry, std::int64_t records) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t octets = entry.size() + kOverhead;
    if (closing_ || octets_ + octets > kMostOctets) {
      dropped_ += records;
      return;
    }
    first = entries_.empty();
    octets_ += octets;
    records_ += records;
    entries_.push_back(std::move(entry));
  }
  if (first) changed_.notify_one();
}

std::int64_t Backlog::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void Backlog::run() {
  name_thread(name_);
  std::int64_t reported = 0;
  std::unique_lock lock(mutex_);
  while (!closing_ || !entries_.empty()) {
    changed_.wait(lock, [this] { return closing_ || !entries_.empty(); });
    changed_.wait_for(lock, kLinger, [this] { return closing_; });
    Entries entries = std::exchange(entries_, {});
    octets_ = 0;
    const std::int64_t count = std::exchange(records_, 0);
    const std::int64_t more = dropped_ - std::exchange(reported, dropped_);
    lock.unlock();
    if (more > 0) say(fmt::format("{} is too slow: {} records were dropped", name_, more));
    bool delivered = entries.empty();
    if (!delivered) guarded(name_, [&] { delivered = deliver_(std::move(entries)); });
    lock.lock();
    if (delivered) continue;
    dropped_ += count;
    reported += count;
  }
}

}  // namespace replygate

#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

#include "policy/mail/ip.h"

namespace replygate {

// SMTP connections over which replygate itself sends mail to admins, by the address and port that they come from: the
// kernel gives those, and no other client can claim them at the same time. Any thread.
class OwnConnections {
 public:
  void add(const IpAddress& ip, std::int64_t port) {
    const std::lock_guard lock(mutex_);
    open_.emplace(ip, port);
    some_ = true;
  }
  void remove(const IpAddress& ip, std::int64_t port) {
    const std::lock_guard lock(mutex_);
    open_.erase({ip, port});
    some_ = !open_.empty();
  }
  bool has(const IpAddress& ip, std::int64_t port) const {
    if (!some_) return false;
    const std::lock_guard lock(mutex_);
    return open_.contains({ip, port});
  }

 private:
  std::atomic<bool> some_{false};
  mutable std::mutex mutex_;
  std::set<std::pair<IpAddress, std::int64_t>> open_;  // guarded by mutex_
};

}  // namespace replygate

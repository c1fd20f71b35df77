#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "policy/mail/ip.h"

namespace replygate {

// A connection by its two ends.
struct ConnectionEnds {
  IpAddress client;
  std::int64_t client_port = 0;
  std::optional<IpAddress> server;  // nothing, and 0: it is not known, and may be any
  std::int64_t server_port = 0;

  bool operator==(const ConnectionEnds&) const = default;
};

// SMTP connections over which replygate itself sends mail to admins, by both ends: the kernel gives those, and no other
// client can claim them at the same time. Any thread.
class OwnConnections {
 public:
  void add(const ConnectionEnds& ends) {
    const std::lock_guard lock(mutex_);
    open_.push_back(ends);
    some_ = true;
  }
  void remove(const ConnectionEnds& ends) {
    const std::lock_guard lock(mutex_);
    std::erase(open_, ends);
    some_ = !open_.empty();
  }
  // As far as the MTA tells of them.
  bool has(const ConnectionEnds& told) const {
    if (!some_) return false;
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(open_, [&](const ConnectionEnds& own) { return may_be(told, own); });
  }

 private:
  static bool may_be(const ConnectionEnds& told, const ConnectionEnds& own) {
    const bool server = !told.server || !own.server || *told.server == *own.server;
    const bool port = told.server_port == 0 || own.server_port == 0 || told.server_port == own.server_port;
    return told.client == own.client && told.client_port == own.client_port && server && port;
  }

  std::atomic<bool> some_{false};
  mutable std::mutex mutex_;
  std::vector<ConnectionEnds> open_;  // guarded by mutex_
};

}  // namespace replygate

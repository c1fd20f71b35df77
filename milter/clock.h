#pragma once

#include <chrono>

#include "policy/base/time.h"

namespace replygate {

// The daemon's time: the wall clock when it started, and from there on what the monotonic clock adds, so that steps of
// the wall clock move no window. Any thread.
class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual Instant now() const {
    return wall_ + std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - steady_);
  }
  // How much more the wall clock shows by now.
  virtual Duration wall_ahead() const {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()) - now();
  }

 private:
  Instant wall_ = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  std::chrono::steady_clock::time_point steady_ = std::chrono::steady_clock::now();
};

}  // namespace replygate

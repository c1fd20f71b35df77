#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "milter/log/say.h"

namespace replygate {

// Messages to the operator about what may happen very often: one line in ten seconds to stderr, with the number of
// those that were left out. Any thread.
class Throttle {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void say(std::string_view text, Time now = std::chrono::steady_clock::now()) {
    const std::lock_guard lock(mutex_);
    if (said_ && now - last_ < kPause) {
      ++left_out_;
      return;
    }
    const auto more = left_out_ == 0 ? std::string() : fmt::format(" ({} more such since)", left_out_);
    replygate::say(fmt::format("{}{}", text, more));
    said_ = true;
    last_ = now;
    left_out_ = 0;
  }

 private:
  static constexpr std::chrono::seconds kPause{10};

  std::mutex mutex_;
  // Guarded by mutex_.
  bool said_ = false;
  Time last_;
  std::uint64_t left_out_ = 0;
};

}  // namespace replygate

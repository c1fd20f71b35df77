#pragma once

#include <atomic>

#include "milter/clock.h"

namespace replygate::test {

// A monotonic clock and a wall clock, both moved by hand.
class HandClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  Duration wall_ahead() const override { return ahead_; }
  void pass(Duration time) { now_ = now_.load() + time; }
  void step(Duration time) { ahead_ = ahead_.load() + time; }
  // A daemon that starts takes the wall clock as it is.
  void restart() { pass(ahead_.exchange(Duration(0))); }

 private:
  std::atomic<Instant> now_{Instant(std::chrono::hours(490000))};
  std::atomic<Duration> ahead_{Duration(0)};
};

}  // namespace replygate::test

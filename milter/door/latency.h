#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace replygate {

// How long something takes.
class Stopwatch {
 public:
  void start() { begin_ = std::chrono::steady_clock::now(); }
  std::chrono::nanoseconds took() const { return std::chrono::steady_clock::now() - begin_; }

 private:
  std::chrono::steady_clock::time_point begin_{};
};

// A histogram of times: four steps to each doubling, from 1 µs to a minute. Any thread, without locks.
class Latency {
 public:
  void note(std::chrono::nanoseconds took) {
    const auto microseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count() / 1000, 1));
    counts_[place_of(microseconds)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(took.count(), std::memory_order_relaxed);
  }

  std::int64_t count() const { return below(std::chrono::hours(1)); }
  std::chrono::nanoseconds sum() const { return std::chrono::nanoseconds(sum_.load(std::memory_order_relaxed)); }

  // How many took no longer than `most`, to a quarter of a doubling.
  std::int64_t below(std::chrono::nanoseconds most) const {
    const std::size_t last = place_of(static_cast<std::uint64_t>(std::max<std::int64_t>(most.count() / 1000, 1)));
    std::int64_t total = 0;
    for (std::size_t i = 0; i <= last; ++i) total += counts_[i].load(std::memory_order_relaxed);
    return total;
  }

  // The time that the share `q` (0..1) did not exceed, rounded up to a step; 0 without any.
  std::chrono::nanoseconds quantile(double q) const {
    const std::int64_t all = count();
    std::int64_t seen = 0;
    for (std::size_t i = 0; i < kPlaces && all > 0; ++i) {
      seen += counts_[i].load(std::memory_order_relaxed);
      if (static_cast<double>(seen) >= q * static_cast<double>(all)) return end_of(i);
    }
    return {};
  }

 private:
  static constexpr std::size_t kPlaces = std::size_t{26} * 4;

  // Octave and the two digits behind the first one.
  static std::size_t place_of(std::uint64_t microseconds) {
    const auto octave = static_cast<std::size_t>(std::bit_width(microseconds)) - 1;
    const std::size_t quarter = octave >= 2 ? microseconds >> (octave - 2) & 3 : microseconds << (2 - octave) & 3;
    return std::min(octave * 4 + quarter, kPlaces - 1);
  }
  static std::chrono::nanoseconds end_of(std::size_t place) {
    const std::uint64_t quarters = (std::uint64_t{4} + place % 4 + 1) << (place / 4);
    return std::chrono::nanoseconds(static_cast<std::int64_t>(quarters * 250));
  }

  std::array<std::atomic<std::int64_t>, kPlaces> counts_{};
  std::atomic<std::int64_t> sum_{0};
};

}  // namespace replygate

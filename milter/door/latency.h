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

// A histogram of times: four steps to each doubling, from 1 µs to a minute.
class Times {
 public:
  static constexpr std::size_t kPlaces = std::size_t{26} * 4;

  void note(std::chrono::nanoseconds took) { add(place_of(took), 1, took); }
  void add(std::size_t place, std::int64_t times, std::chrono::nanoseconds took) {
    counts_[place] += times;
    sum_ += took;
  }
  void add(const Times& other) {
    for (std::size_t i = 0; i < kPlaces; ++i) counts_[i] += other.counts_[i];
    sum_ += other.sum_;
  }

  std::int64_t count() const { return below(std::chrono::hours(1)); }
  std::chrono::nanoseconds sum() const { return sum_; }

  // How many took no longer than `most`, to a quarter of a doubling.
  std::int64_t below(std::chrono::nanoseconds most) const {
    std::int64_t total = 0;
    for (std::size_t i = 0; i <= place_of(most); ++i) total += counts_[i];
    return total;
  }

  // The time that the share `q` (0..1) did not exceed, rounded up to a step; 0 without any.
  std::chrono::nanoseconds quantile(double q) const {
    const std::int64_t all = count();
    std::int64_t seen = 0;
    for (std::size_t i = 0; i < kPlaces && all > 0; ++i) {
      seen += counts_[i];
      if (static_cast<double>(seen) >= q * static_cast<double>(all)) return end_of(i);
    }
    return {};
  }

  // Octave and the two digits behind the first one.
  static std::size_t place_of(std::chrono::nanoseconds took) {
    const auto microseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count() / 1000, 1));
    const auto octave = static_cast<std::size_t>(std::bit_width(microseconds)) - 1;
    const std::size_t quarter = octave >= 2 ? microseconds >> (octave - 2) & 3 : microseconds << (2 - octave) & 3;
    return std::min(octave * 4 + quarter, kPlaces - 1);
  }

 private:
  static std::chrono::nanoseconds end_of(std::size_t place) {
    const std::uint64_t quarters = (std::uint64_t{4} + place % 4 + 1) << (place / 4);
    return std::chrono::nanoseconds(static_cast<std::int64_t>(quarters * 250));
  }

  std::array<std::int64_t, kPlaces> counts_{};
  std::chrono::nanoseconds sum_{};
};

// Times that are noted on any thread, without locks.
class Latency {
 public:
  void note(std::chrono::nanoseconds took) {
    counts_[Times::place_of(took)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(took.count(), std::memory_order_relaxed);
  }
  void add_to(Times& times) const {
    for (std::size_t i = 0; i < counts_.size(); ++i) times.add(i, counts_[i].load(std::memory_order_relaxed), {});
    times.add(0, 0, std::chrono::nanoseconds(sum_.load(std::memory_order_relaxed)));
  }

 private:
  std::array<std::atomic<std::int64_t>, Times::kPlaces> counts_{};
  std::atomic<std::int64_t> sum_{0};
};

}  // namespace replygate

#pragma once

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/time.h"

namespace replygate {

// The most of a day within one window.
struct DailyPeak {
  std::int64_t day = 0;  // since the epoch, UTC, on which the window ended
  std::int64_t most = 0;
};

// What one key has sent at the most.
struct KeyDemand {
  boost::container::small_vector<DailyPeak, 4> days;  // ascending
  std::int64_t most = 0;
  Instant when;         // the window of the most ended
  bool capped = false;  // a limit has refused more, once at least

  // What it reaches again: on two days that are no neighbours. 0: it never did.
  std::int64_t usual() const;
};

// Measures how much each key sends within a sliding window: exact to a sixtieth of the window, and rather too much than
// too little. Bounded: keys beyond the most are left out. One thread.
class DemandMeter {
 public:
  static constexpr std::size_t kMostKeys = 100000;

  explicit DemandMeter(Duration window) : window_(window) {}

  // Times ascend, roughly.
  void add(std::string_view key, Instant time, std::int64_t count);
  void cap(std::string_view key);

  Duration window() const { return window_; }
  std::int64_t left_out() const { return left_out_; }  // additions
  template <typename Take>
  void each(Take take) const {
    for (const auto& [key, meter] : meters_) take(key, meter.demand);
  }
  std::size_t keys() const { return meters_.size(); }

 private:
  struct Meter {
    std::deque<std::pair<std::int64_t, std::int64_t>> slots;  // number and count, of the window
    std::int64_t sum = 0;
    KeyDemand demand;
  };
  Meter* find(std::string_view key);

  Duration window_;
  boost::unordered_flat_map<std::string, Meter> meters_;
  std::int64_t left_out_ = 0;
};

}  // namespace replygate

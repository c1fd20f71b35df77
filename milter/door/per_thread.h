#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace replygate {

// Things that many threads write, a cell for each of a few: threads seldom meet in one, and whoever wants to know sums
// them up. Any thread.
template <typename Cell>
class PerThread {
 public:
  Cell& mine() { return cells_[number_of_thread() % kCells].cell; }
  template <typename Visit>
  void each(const Visit& visit) const {
    for (const Padded& padded : cells_) visit(padded.cell);
  }

 private:
  static constexpr std::size_t kCells = 8;
  struct alignas(64) Padded {
    Cell cell;
  };

  static std::size_t number_of_thread() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
    return mine;
  }

  std::array<Padded, kCells> cells_;
};

// How many there are of something that threads begin and end.
class OpenCount {
 public:
  void add(int by) { counts_.mine().fetch_add(by); }
  // As of a moment in which nobody begins any.
  int sum() const {
    int total = 0;
    counts_.each([&total](const std::atomic<int>& count) { total += count.load(); });
    return std::max(total, 0);
  }

 private:
  PerThread<std::atomic<int>> counts_;
};

}  // namespace replygate

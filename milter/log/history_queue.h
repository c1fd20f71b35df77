#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "policy/base/time.h"

namespace replygate {

// Records that came one after the other.
struct HistoryBlock {
  // Octets of JSON from which on records are pressed together.
  static constexpr std::size_t kFull = std::size_t{256} << 10U;

  std::string text;   // a line each, with LF
  std::string words;  // as append_word() leaves them
  std::int64_t records = 0;
  Instant last{};
};

// Hands records to whoever writes them, on a thread of its own. add() never waits: beyond 16 MiB whole records are
// dropped and counted. A record that comes alone is handed over within some milliseconds; while many come it may be a
// block of them, or 50 ms.
class HistoryQueue {
 public:
  // Called on the thread, with full blocks, or one that is not. False: what they hold is counted as dropped.
  using Deliver = std::function<bool(std::vector<HistoryBlock>& blocks)>;

  explicit HistoryQueue(Deliver deliver);
  HistoryQueue(const HistoryQueue&) = delete;
  HistoryQueue& operator=(const HistoryQueue&) = delete;
  ~HistoryQueue() { close(); }

  // Delivers what is left and ends the thread; what is added later is dropped.
  void close();
  // A line with LF, and the words by which it is to be found. Any thread.
  void add(Instant time, std::span<const std::string_view> words, std::string_view line);
  std::int64_t dropped() const;

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  HistoryBlock take_filling();
  std::vector<HistoryBlock> wait(std::unique_lock<std::mutex>& lock);

  const Deliver deliver_;
  std::int64_t reported_ = 0;  // of what was dropped; the thread's
  Clock::time_point delivered_{};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<HistoryBlock> full_;
  HistoryBlock filling_;
  std::size_t octets_ = 0;
  std::int64_t dropped_ = 0;
  bool closing_ = false;

  std::thread thread_;
};

}  // namespace replygate

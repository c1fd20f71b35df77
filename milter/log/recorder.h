#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "milter/log/rendering.h"
#include "milter/log/throttle.h"
#include "policy/base/spares.h"

namespace replygate {

// Takes records from whoever decides, and hands each to all that listen, in their order, on a thread of its own.
// write() never waits and takes no lock: what is beyond the bounds is dropped and counted. What a listener throws is
// said, and the others hear the record all the same. All listeners are there before start(), and outlive stop().
class Recorder final : public RecordSink {
 public:
  // That wait to be heard, at the most.
  struct Bounds {
    std::int64_t octets = std::int64_t{32} << 20;  // roughly
  };

  Recorder() : Recorder(Bounds()) {}
  explicit Recorder(Bounds bounds);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder() override;

  void add(RecordListener& listener) { listeners_.push_back(&listener); }
  void start();
  // What is left is heard; what comes later is dropped. From the thread that started it.
  void stop();

  void write(Record record) override;  // any thread
  // Returns once all listeners have heard what was written before, at the latest after `patience`. Any thread.
  static constexpr std::chrono::milliseconds kPatience{200};
  void catch_up(std::chrono::milliseconds patience = kPatience);
  std::int64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Entry;
  static constexpr std::int64_t kMost = 16'384;  // records
  static constexpr std::size_t kMostSpent = 256;

  bool make_room(std::int64_t octets);
  void push(std::unique_ptr<Entry> owned);
  std::unique_ptr<Entry> next_unheard();
  void run();
  std::int64_t hear_all();
  void tell_heard(std::int64_t heard);
  void say_dropped();
  void rest(bool busy);
  void wake();

  const Bounds bounds_;
  std::vector<RecordListener*> listeners_;

  std::atomic<Entry*> newest_{nullptr};  // of what was written, each with what was written before it
  // Entries that were heard. Whoever writes the next record frees what is in them, where it had the memory from.
  Spares<Entry, kMostSpent> spent_;
  std::atomic<std::int64_t> octets_{0};   // of what waits to be heard
  std::atomic<std::int64_t> waiting_{0};  // records
  std::atomic<std::int64_t> written_{0};  // records that wait, or were heard
  std::atomic<std::int64_t> dropped_{0};
  std::atomic<bool> closed_{true};
  std::atomic<bool> asleep_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable caught_up_;
  // Guarded by mutex_.
  std::int64_t heard_ = 0;
  bool ending_ = false;
  bool hurry_ = false;

  // Of the thread.
  Entry* unheard_ = nullptr;   // taken, oldest first
  std::int64_t reported_ = 0;  // of those that were dropped
  Throttle slow_;

  std::thread thread_;
};

}  // namespace replygate

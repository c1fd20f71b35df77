#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace replygate {

// The sessions and the transactions that are open, and whether new ones are still taken. Any thread.
class Traffic {
 public:
  void begin_session() { change(sessions_, +1); }
  void end_session() { change(sessions_, -1); }
  void begin_transaction() { change(transactions_, +1); }
  void end_transaction() { change(transactions_, -1); }

  int sessions() {
    const std::lock_guard lock(mutex_);
    return sessions_;
  }

  // New transactions are to be turned away.
  bool draining() {
    const std::lock_guard lock(mutex_);
    return draining_;
  }

  // Waits until no session is open, for `grace` at the most; from then on new transactions are turned away. Returns
  // when no transaction is open, or after `patience` in all.
  void drain(std::chrono::milliseconds grace, std::chrono::milliseconds patience) {
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    idle_.wait_until(lock, start + grace, [this] { return sessions_ == 0; });
    draining_ = true;
    idle_.wait_until(lock, start + patience, [this] { return transactions_ == 0; });
  }

 private:
  void change(int& count, int by) {
    const std::lock_guard lock(mutex_);
    count += by;
    if (transactions_ == 0) idle_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable idle_;
  // Guarded by mutex_.
  int sessions_ = 0;
  int transactions_ = 0;
  bool draining_ = false;
};

}  // namespace replygate

#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace replygate {

// The transactions that are open, and whether new ones are still taken. Any thread.
class Traffic {
 public:
  void begin() { change(+1); }
  void end() { change(-1); }

  // From drain() on.
  bool draining() {
    const std::lock_guard lock(mutex_);
    return draining_;
  }

  // Returns when no transaction is open, or after `patience`.
  void drain(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    draining_ = true;
    idle_.wait_for(lock, patience, [this] { return open_ == 0; });
  }

 private:
  void change(int by) {
    const std::lock_guard lock(mutex_);
    open_ += by;
    if (open_ == 0) idle_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable idle_;
  int open_ = 0;           // guarded by mutex_
  bool draining_ = false;  // guarded by mutex_
};

}  // namespace replygate

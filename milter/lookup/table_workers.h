#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

namespace replygate {

// Threads that may wait in the library of a database, so that nobody else does. Any thread.
class TableWorkers {
 public:
  // Throws where there can be no thread more.
  void begin(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      ++running_;
    }
    try {
      std::thread([this, work = std::move(work)]() mutable {
        work();
        work = nullptr;
        end_one();
      }).detach();
    } catch (...) {
      end_one();
      throw;
    }
  }

  // Until all have ended that were told to.
  void wait() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void end_one() {
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;  // guarded by mutex_
};

// Those of this process.
TableWorkers& table_workers();

}  // namespace replygate

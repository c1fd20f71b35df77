#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace replygate {

// The sessions and the transactions that are open, and whether new ones are still taken. Any thread.
class Traffic {
 public:
  void begin_session() {
    ++begun_;
    change(sessions_, +1);
  }
  void end_session() { change(sessions_, -1); }
  void begin_transaction() { change(transactions_, +1); }
  void end_transaction() { change(transactions_, -1); }

  int sessions() const {
    const std::lock_guard lock(mutex_);
    return sessions_;
  }
  int transactions() const {
    const std::lock_guard lock(mutex_);
    return transactions_;
  }
  std::int64_t sessions_since_start() const { return begun_; }

  // New transactions are to be turned away.
  bool draining() const {
    const std::lock_guard lock(mutex_);
    return draining_;
  }

  // New sessions are to be turned away, until an admin says otherwise; those that are open go on.
  void close(bool closed) { closed_ = closed; }
  bool closed() const { return closed_; }

  // A listener cannot accept, for want of descriptors or since max_connections is reached; or can again.
  void starve(bool starving) { starving_ += starving ? 1 : -1; }
  bool starving() const { return starving_ > 0; }

  // A client of the policy service had to make room for another one.
  void turn_away() { ++turned_away_; }
  std::int64_t turned_away() const { return turned_away_; }

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

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  // Guarded by mutex_.
  int sessions_ = 0;
  int transactions_ = 0;
  bool draining_ = false;

  std::atomic<bool> closed_{false};
  std::atomic<int> starving_{0};
  std::atomic<std::int64_t> begun_{0};
  std::atomic<std::int64_t> turned_away_{0};
};

}  // namespace replygate

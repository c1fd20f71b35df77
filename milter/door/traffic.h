#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "milter/door/per_thread.h"

namespace replygate {

// The sessions and the transactions that are open, and whether new ones are still taken. Any thread.
class Traffic {
 public:
  void begin_session() {
    begun_.fetch_add(1, std::memory_order_relaxed);
    sessions_.add(+1);
  }
  void end_session() { end(sessions_); }
  void begin_transaction() { transactions_.add(+1); }
  void end_transaction() { end(transactions_); }

  int sessions() const { return sessions_.sum(); }
  int transactions() const { return transactions_.sum(); }
  std::int64_t sessions_since_start() const { return begun_; }

  // New transactions are to be turned away.
  bool draining() const { return draining_; }

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
    awaited_ = true;
    idle_.wait_until(lock, start + grace, [this] { return sessions() == 0; });
    draining_ = true;
    idle_.wait_until(lock, start + patience, [this] { return transactions() == 0; });
    awaited_ = false;
  }

 private:
  // Whoever waits has said so before he looked at the counts.
  void end(OpenCount& count) {
    count.add(-1);
    if (!awaited_) return;
    {
      const std::lock_guard lock(mutex_);
    }
    idle_.notify_all();
  }

  std::mutex mutex_;  // of the wait
  std::condition_variable idle_;
  std::atomic<bool> awaited_{false};

  OpenCount sessions_;
  OpenCount transactions_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> closed_{false};
  std::atomic<int> starving_{0};
  std::atomic<std::int64_t> begun_{0};
  std::atomic<std::int64_t> turned_away_{0};
};

}  // namespace replygate

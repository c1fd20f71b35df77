#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "policy/count/store_memory.h"
#include "policy/decide/record.h"

// A sink and a store that several threads use.
namespace replygate::test {

class LockedRecords final : public RecordSink {
 public:
  void write(Record record) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back(to_json(record));
  }
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// Answers from a thread of its own, once it is let.
class OtherThreadStore final : public Store {
 public:
  OtherThreadStore() : thread_([this] { run(); }) {}
  ~OtherThreadStore() override {
    {
      const std::lock_guard lock(mutex_);
      end_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back([this, charges = std::move(charges), admit, now, done = std::move(done)] {
        store_.take(charges, admit, now, done);
      });
    }
    changed_.notify_one();
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    store_.settle(std::move(ids), settlement, now, std::move(done));
  }
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
    store_.forget(std::move(counters), now, std::move(done));
  }
  void let(bool answer) {
    {
      const std::lock_guard lock(mutex_);
      answers_ = answer;
    }
    changed_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return end_ || (answers_ && !work_.empty()); });
      if (end_ && work_.empty()) return;
      const auto next = std::move(work_.front());
      work_.erase(work_.begin());
      lock.unlock();
      next();
      lock.lock();
    }
  }

  MemoryStore store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> work_;
  bool answers_ = true;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace replygate::test

#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "milter/clock.h"
#include "policy/count/store.h"
#include "policy/decide/session.h"
#include "tests/support/failing_new.h"

// Services of a session that fail when they are told to.
namespace replygate::test {

// What may fail at its n-th call.
class Failing {
 public:
  void fail_at(long call) {
    to_failure_ = call;
    failed_ = false;
  }
  bool failed() const { return failed_; }
  void call() {
    if (to_failure_ == 0 || --to_failure_ != 0) return;
    failed_ = true;
    throw std::runtime_error("a service fails");
  }

 private:
  std::atomic<long> to_failure_ = 0;
  std::atomic<bool> failed_ = false;
};

class FailingStore final : public Store, public Failing {
 public:
  explicit FailingStore(Store& next) : next_(next) {}
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    call();
    next_.take(std::move(charges), admit, now, std::move(done));
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    call();
    next_.settle(std::move(ids), settlement, now, std::move(done));
  }
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
    next_.forget(std::move(counters), now, std::move(done));
  }

 private:
  Store& next_;
};

class FailingMailboxes final : public Mailboxes, public Failing {
 public:
  void used(const Address& recipient, std::int64_t, Told told) override {
    call();
    told(MailboxUse::of(recipient.full.starts_with("full") ? 100 : 0));
  }
};

class FailingSink final : public RecordSink, public Failing {
 public:
  void write(Record record) override {
    call();
    to_json(record);
  }
};

class FailingClock final : public Clock, public Failing {
 public:
  Instant now() const override {
    const_cast<FailingClock*>(this)->call();
    return Instant(std::chrono::hours(490000));
  }
};

// Answers on a thread of its own, of which an allocation may fail. As the true ones it tells of a failure, and settles
// in the end.
class ThreadedStore final : public Store {
 public:
  explicit ThreadedStore(Store& next) : next_(next), thread_([this] { run(); }) {}
  ~ThreadedStore() override {
    post({});
    thread_.join();
  }
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    post([this, charges = std::move(charges), admit, now, done = std::move(done)]() mutable {
      bool told = false;
      const auto tell = [&](Readings readings) {
        told = true;
        std::exchange(done, nullptr)(std::move(readings));
      };
      caught([&] { next_.take(charges, admit, now, std::ref(tell)); });
      if (!told) caught([&] { tell({}); });
    });
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    post([this, ids = std::move(ids), settlement, now, done = std::move(done)] {
      bool told = false;
      const auto tell = [&] {
        told = true;
        done();
      };
      while (!told) caught([&] { next_.settle(ids, settlement, now, std::ref(tell)); });
    });
  }
  void forget(std::vector<std::string>, Instant, Forgotten done) override { done(true); }

  void fail_allocation(std::int64_t n) {
    post([n] { test::fail_allocation(n); });
  }
  // Once all that was asked is done.
  bool allocation_failed() {
    const WithoutFailures test;
    std::promise<bool> told;
    post([&told] { told.set_value(test::allocation_failed()); });
    return told.get_future().get();
  }

 private:
  void post(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !jobs_.empty(); });
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      if (!job) return;
      caught(job);
    }
  }
  template <typename Step>
  static void caught(const Step& step) {
    try {
      step();
    } catch (const std::exception&) {
      return;
    }
  }

  Store& next_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::thread thread_;
};

}  // namespace replygate::test

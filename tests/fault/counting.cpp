// The engine of counters: exactness under threads (G9), against an exact model (G13), under a flood of keys (G16).

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <random>
#include <thread>

#include "policy/count/store_memory.h"
#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{hours(490000)};
constexpr int kThreads = 16;

Charge one_of(std::string counter, std::int64_t most) {
  return {.counter = std::move(counter), .measure = Sliding{hours(1)}, .most = most, .reserve = false};
}

// What each of some threads does; gives what they did altogether a second.
double rate_of(int total, const std::function<void(int thread, int from, int to)>& work) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { work(t, total / kThreads * t, total / kThreads * (t + 1)); });
  }
  for (std::thread& thread : threads) thread.join();
  return total / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double attempts(MemoryStore& store, int total, int keys, std::int64_t most, std::atomic<std::int64_t>& admitted) {
  return rate_of(total, [&](int, int from, int to) {
    std::int64_t mine = 0;
    std::vector<Charge> charges = {one_of("", most)};
    for (int i = from; i < to; ++i) {
      charges[0].counter = fmt::format("user-sending-quota\x1fmessages/1h\x1f{}@example.org", i % keys);
      mine += store.take_now(charges, true, kStart).readings[0]->fits ? 1 : 0;
    }
    admitted += mine;
  });
}

// One sliding window and one bucket against logs of all that was admitted.
class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  // Gives the number of answers that differ from what an exact log allows.
  std::int64_t play(int operations) {
    std::int64_t wrong = 0;
    for (int i = 0; i < operations; ++i) {
      now_ += step();
      wrong += one();
    }
    return wrong;
  }

 private:
  struct Past {
    Instant at;
    std::int64_t cost;
  };
  struct Open {
    ReservationId id;
    std::int64_t cost;
  };

  Duration step() {
    switch (random_() % 8) {
      case 0: return Duration(0);
      case 1: return seconds(random_() % 900);
      case 2: return minutes(random_() % 120 == 0 ? 3700 : 1);
      default: return microseconds(random_() % 20'000'000);
    }
  }

  // Used at the least and at the most: a charge counts for the period and up to a hundredth more.
  std::int64_t used(Duration more) const {
    std::int64_t sum = 0;
    for (const Past& past : window_) sum += past.at + kPeriod + more > now_ ? past.cost : 0;
    for (const Open& open : open_) sum += open.cost;
    return sum;
  }

  std::int64_t one() {
    if (random_() % 3 == 0 && !open_.empty()) settle();
    std::vector<Charge> charges = {one_of("window", kMost), one_of("bucket", kDepth)};
    const auto cost = static_cast<std::int64_t>(random_() % 4);
    const bool reserve = random_() % 2 == 0;
    for (Charge& c : charges) c.cost = cost;
    charges[0].reserve = reserve;
    charges[1].measure = kRate;
    const Readings r = store_.take_now(charges, true, now_);
    const Reading& window = *r.readings[0];
    const std::int64_t taken = std::max<std::int64_t>(tokens_ - refilled(), 0);
    std::int64_t wrong = window.used < used(Duration(0)) || window.used > used(kPeriod / 100) ? 1 : 0;
    wrong += window.fits == (window.used + cost <= kMost) ? 0 : 1;
    wrong += r.readings[1]->used == taken ? 0 : 1;
    wrong += r.readings[1]->fits == (taken + cost <= kDepth) ? 0 : 1;
    const bool both = window.fits && r.readings[1]->fits && cost > 0;
    wrong += (r.reservation != 0) == (both && reserve) ? 0 : 1;
    if (!both) return wrong;
    if (taken == 0) {
      tokens_ = 0;
      since_ = now_;
    }
    tokens_ += cost;
    if (reserve) {
      open_.push_back({r.reservation, cost});
    } else {
      window_.push_back({now_, cost});
    }
    while (!window_.empty() && window_.front().at + 2 * kPeriod < now_) window_.pop_front();
    return wrong;
  }

  void settle() {
    const auto which = open_.begin() + static_cast<std::ptrdiff_t>(random_() % open_.size());
    const bool keep = random_() % 2 == 0;
    store_.settle_now({which->id}, keep ? Settlement::keep : Settlement::give_back, now_);
    if (keep) window_.push_back({now_, which->cost});
    open_.erase(which);
  }

  // Tokens that came back since the bucket was last full; whole ones.
  std::int64_t refilled() const { return (now_ - since_).count() * kRate.most / kRate.period.count(); }

  static constexpr Duration kPeriod = hours(1);
  static constexpr std::int64_t kMost = 50;
  static constexpr std::int64_t kDepth = 40;
  static constexpr Bucket::Rate kRate{60, hours(1)};

  std::mt19937_64 random_;
  MemoryStore store_;
  Instant now_ = kStart;
  std::deque<Past> window_;
  std::vector<Open> open_;
  std::int64_t tokens_ = 0;
  Instant since_ = kStart;
};

}  // namespace

void exact_counting(const GoalOptions& options, Report& report) {
  const int attempts_of_round = options.small ? 20'000 : 1'000'000;
  const int rounds = options.full ? 50 : 3;
  int exact = 0;
  double slowest = 1e12;
  for (int round = 0; round < rounds; ++round) {
    MemoryStore store;
    std::atomic<std::int64_t> admitted{0};
    slowest = std::min(slowest, attempts(store, attempts_of_round, 1, 1000, admitted));
    exact += admitted == 1000 ? 1 : 0;
  }
  report.exactly("G9", fmt::format("of {} rounds, those that admit 1,000 exactly", rounds), exact, rounds);
  report.measured_at_least("G9", "takes a second, 16 threads, one key, slowest round", slowest, 500'000, "/s");
  MemoryStore store({.keys = 4'000'000}, MemoryStore::random_secret(), false);
  std::atomic<std::int64_t> admitted{0};
  const double many = attempts(store, attempts_of_round * 4, attempts_of_round, 1000, admitted);
  report.measured_at_least("G9", "takes a second, 16 threads, 10^6 keys", many, 1'000'000, "/s");
}

void exact_model(const GoalOptions& options, Report& report) {
  std::int64_t wrong = 0;
  const int operations = options.full ? 1'000'000 : 100'000;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) wrong += Model(seed).play(operations / 4);
  report.exactly("G13", fmt::format("answers off the exact model in {} operations", operations), wrong, 0);
  MemoryStore store;
  for (int i = 0; i < 1000; ++i) store.take_now({one_of(fmt::format("idle{}", i), 5)}, true, kStart);
  for (int i = 0; i < 60'000; ++i) store.take_now({one_of(fmt::format("new{}", i % 64), 5)}, true, kStart + hours(2));
  for (int i = 0; i < 5000; ++i) store.take_now({one_of(fmt::format("b{}", i), 5)}, true, kStart + hours(3 + i / 100));
  report.at_most("G13", "keys kept of those whose window is over", static_cast<double>(store.counters()), 1000, "");
}

void flood_of_keys(const GoalOptions& options, Report& report) {
  const int keys = options.small ? 100'000 : options.full ? 10'000'000 : 2'000'000;
  const std::int64_t cap = options.small ? 50'000 : 1'000'000;
  const double before = resident_mib(::getpid());
  MemoryStore store({.keys = cap}, MemoryStore::random_secret(), false);
  const auto known = [](int i) { return fmt::format("user-sending-quota\x1fmessages/1h\x1fknown{}@example.org", i); };
  // Who comes but once, in a flood, looks like one of it; who is known has come twice before.
  for (int i = 0; i < 2000; ++i) store.take_now({one_of(known(i % 1000), 1000)}, true, kStart);
  std::vector<double> slow;
  slow.reserve(static_cast<std::size_t>(keys / 64));
  std::mt19937_64 random(11);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < keys; ++i) {
    if (i % (keys / 10'000) == 0) {
      store.take_now({one_of(known(i / (keys / 10'000) % 1000), 1000)}, true, kStart);  // ten more of each, spread out
    }
    const Charge charge =
        one_of(fmt::format("user-sending-quota\x1fmessages/1h\x1f{:x}@flood.example", random()), 1000);
    if (i % 64 == 0) {
      const auto from = std::chrono::steady_clock::now();
      store.take_now({charge}, true, kStart);
      slow.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count());
    } else {
      store.take_now({charge}, true, kStart);
    }
  }
  const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  long exact = 0;
  for (int i = 0; i < 1000; ++i) {
    exact += store.take_now({one_of(known(i), 1000)}, false, kStart).readings[0]->used == 12 ? 1 : 0;
  }
  std::ranges::sort(slow);
  report.exactly("G16", fmt::format("of 1,000 keys in use, those exact after {} new ones", keys), exact, 1000);
  report.measured("G16", fmt::format("memory for {} counters", store.counters()), resident_mib(::getpid()) - before,
                  160, "MiB");
  report.measured("G16", "p99 of a decision", slow[slow.size() * 99 / 100], 2, "ms");
  report.measured_at_least("G16", "new keys a second, one thread", keys / passed, 200'000, "/s");
}

}  // namespace replygate::test

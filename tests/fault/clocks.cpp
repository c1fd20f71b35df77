// Clocks that are wrong (G15): a running daemon, a restart, hosts that do not agree.

#include <future>
#include <thread>

#include "milter/store/redis_store.h"
#include "milter/store/sqlite_store.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t kMost = 20;

Charge one_of(const std::string& counter) {
  return {.counter = counter, .measure = Sliding{hours(1)}, .most = kMost, .reserve = false};
}

bool admits(Store& store, const std::string& counter, Instant now) {
  bool fits = false;
  store.take({one_of(counter)}, true, now, [&](const Readings& r) { fits = r.readings.front()->fits; });
  return fits;
}

// A minute between two attempts; the clock steps, and the daemon is started again, where `when` says so. Gives how many
// more or fewer are admitted than by a clock that is right.
std::int64_t difference(Duration step, bool restart) {
  const Folder folder;
  HandClock clock;
  StoreHealth health;
  MemoryStore model;
  Instant truth = clock.now();
  auto store = SqliteStore::open({.path = folder.file("state.db")}, clock, health).value();
  std::int64_t sum = 0;
  std::int64_t worst = 0;
  for (int minute = 0; minute < 400; ++minute) {
    if (minute == 90) {
      clock.step(step);
      if (restart) {
        store.reset();
        clock.restart();
        store = SqliteStore::open({.path = folder.file("state.db")}, clock, health).value();
      }
    }
    sum += admits(*store, "q", clock.now()) ? 1 : 0;
    sum -= admits(model, "q", truth) ? 1 : 0;
    worst = std::max(worst, std::abs(sum));
    clock.pass(minutes(1));
    truth += minutes(1);
  }
  return worst;
}

}  // namespace

void wrong_clocks(const GoalOptions&, Report& report) {
  const std::pair<std::string_view, Duration> steps[] = {
      {"an hour ahead", hours(1)},  {"an hour back", -hours(1)},   {"ten seconds back", -seconds(10)},
      {"to 1970", -hours(490'000)}, {"past 2038", hours(120'000)}, {"a leap second", -seconds(1)},
  };
  for (const auto& [name, step] : steps) {
    report.at_most("G15", fmt::format("{}, running: admitted more or less", name),
                   static_cast<double>(difference(step, false)), 1, "");
    report.at_most("G15", fmt::format("{}, then restarted", name), static_cast<double>(difference(step, true)), 1, "");
  }
  const RedisServer server;
  StoreSettings settings{.backend = StoreSettings::Backend::redis};
  settings.servers = {server.address()};
  settings.timeout = seconds(5);
  std::int64_t admitted = 0;
  for (const Duration skew : {Duration(0), Duration(hours(1)), -Duration(hours(1))}) {
    HandClock clock;
    clock.pass(skew);
    StoreHealth health;
    auto store = RedisStore::open(settings, clock, health).value();
    while (!store->available()) std::this_thread::yield();
    for (int i = 0; i < 10; ++i) {
      std::promise<bool> told;
      store->take({one_of("q")}, true, clock.now(), [&](const Readings& r) { told.set_value(r.readings.at(0)->fits); });
      admitted += told.get_future().get() ? 1 : 0;
    }
  }
  report.exactly("G15", "admitted by three hosts an hour apart", admitted, kMost);
}

}  // namespace replygate::test

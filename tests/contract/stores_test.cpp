// The stores that keep the contract.

#include "milter/store/redis_store.h"
#include "milter/store/sqlite_store.h"
#include "policy/count/store_memory.h"
#include "tests/contract/store_contract.h"
#include "tests/support/folder.h"
#include "tests/support/redis_server.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using test::eventually;
using test::soon;

// A store with a folder of its own.
template <StoreSettings::Durability durability>
std::unique_ptr<Store> on_disk() {
  struct OnDisk final : Store {
    OnDisk() {
      const StoreSettings settings{.path = folder.file("state.db"), .durability = durability};
      store = SqliteStore::open(settings, clock, health).value();
    }
    void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
      store->take(std::move(charges), admit, now, std::move(done));
    }
    void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
      store->settle(std::move(ids), settlement, now, std::move(done));
    }
    void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
      store->forget(std::move(counters), now, std::move(done));
    }
    test::Folder folder;
    Clock clock;
    StoreHealth health;
    std::unique_ptr<Store> store;
  };
  return std::make_unique<OnDisk>();
}

test::RedisServer& redis_server() {
  static test::RedisServer server;
  return server;
}

// One server for all tests; each store counts under a prefix of its own.
std::unique_ptr<Store> on_redis() {
  struct OnRedis final : Store {
    explicit OnRedis(const StoreSettings& settings)
        : store(RedisStore::open(settings, clock, health, RedisStore::Time::caller).value()) {
      EXPECT_TRUE(eventually([this] { return store->available(); }));
    }
    void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
      store->take(std::move(charges), admit, now, std::move(done));
    }
    void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
      store->settle(std::move(ids), settlement, now, std::move(done));
    }
    void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
      store->forget(std::move(counters), now, std::move(done));
    }
    Clock clock;
    StoreHealth health;
    std::unique_ptr<RedisStore> store;
  };
  static int number = 0;
  StoreSettings settings{.backend = StoreSettings::Backend::redis};
  settings.servers = {redis_server().address()};
  settings.prefix = "test" + std::to_string(++number);
  settings.timeout = seconds(5);
  return std::make_unique<OnRedis>(settings);
}

// Only in Redis counters outlive who has reserved in them.
TEST(RedisContract, ReservationsOfADeadHostEndAtTheirDeadline) {
  Clock clock;
  StoreHealth health;
  StoreSettings settings{.backend = StoreSettings::Backend::redis, .servers = {redis_server().address()}};
  settings.prefix = "dead-host";
  settings.timeout = seconds(5);
  Instant now{hours(490000)};
  const auto open = [&] {
    auto store = RedisStore::open(settings, clock, health, RedisStore::Time::caller).value();
    EXPECT_TRUE(eventually([&store] { return store->available(); }));
    return store;
  };
  const auto used = [&](RedisStore& store, std::int64_t cost) {
    std::promise<Readings> told;
    store.take({{.counter = "a", .measure = Sliding{hours(1)}, .most = 9, .cost = cost}}, cost > 0, now,
               [&](Readings r) { told.set_value(std::move(r)); });
    return soon(told).readings.at(0)->used;
  };
  auto living = open();
  auto dead = open();
  used(*living, 2);
  used(*dead, 3);
  dead.reset();
  now += minutes(15) - seconds(1);
  EXPECT_EQ(used(*living, 0), 5);
  now += seconds(1);
  EXPECT_EQ(used(*living, 0), 2);
  now += hours(1);
  EXPECT_EQ(used(*living, 0), 2);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract,
                         ::testing::Values(Maker{"memory", [] { return std::make_unique<MemoryStore>(); }},
                                           Maker{"sqlite_window", on_disk<StoreSettings::Durability::window>},
                                           Maker{"sqlite_commit", on_disk<StoreSettings::Durability::commit>},
                                           Maker{"redis", on_redis}),
                         [](const auto& maker) { return maker.param.name; });

}  // namespace
}  // namespace replygate

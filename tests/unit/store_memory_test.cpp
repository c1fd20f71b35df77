// The store in memory: its table, its bound, and what it hands to those who save it.

#include "policy/count/store_memory.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{hours(490000)};

Charge charge(std::string counter, std::int64_t most, std::int64_t cost = 1) {
  return {.counter = std::move(counter), .measure = Sliding{hours(1)}, .most = most, .cost = cost, .reserve = false};
}

std::int64_t used(MemoryStore& store, const std::string& counter, Instant now) {
  return store.take_now({charge(counter, 1)}, false, now).readings[0]->used;
}

TEST(KeyTable, IsAMap) {
  std::mt19937_64 random(5);
  KeyTable table;
  std::map<CounterKey, int> model;
  for (int i = 0; i < 200000; ++i) {
    const CounterKey key = {(random() % 64 << 58) + 1, random() % 64};  // many share their place in the index
    KeyTable::Entry* e = table.find(key);
    ASSERT_EQ(e != nullptr, model.contains(key));
    if (e != nullptr && random() % 2 == 0) {
      table.erase(*e);
      model.erase(key);
    } else if (e == nullptr && model.size() < 2000) {
      EXPECT_EQ(table.insert(key, Counter()).key, key);
      model[key] = i;
    }
    ASSERT_EQ(table.size(), model.size());
  }
  std::size_t seen = 0;
  for (std::size_t i = 0; i < table.places(); ++i) {
    if (const KeyTable::Entry* e = table.look_on()) {
      ++seen;
      EXPECT_TRUE(model.contains(e->key));
    }
  }
  EXPECT_EQ(seen, model.size());
}

TEST(MemoryStore, ForgetsIdleKeys) {
  MemoryStore store;
  Instant now = kStart;
  for (int i = 0; i < 100000; ++i) {
    Charge one = charge(std::to_string(i), 1);
    one.measure = Sliding{seconds(1)};
    store.take_now({one}, true, now);
    now += std::chrono::milliseconds(10);
  }
  EXPECT_LT(store.counters(), 3000U);
}

// A flood of keys that come once makes room of its own.
TEST(MemoryStore, AFloodOfNewKeysDrivesNobodyOut) {
  MemoryStore store({.keys = 6400}, MemoryStore::random_secret(), false);
  for (int key = 0; key < 500; ++key) {
    for (int i = 0; i < 1 + key % 20; ++i) store.take_now({charge("known" + std::to_string(key), 100)}, true, kStart);
    if (key % 20 == 0) store.take_now({charge("known" + std::to_string(key), 100, 30)}, true, kStart);  // one large
  }
  std::int64_t evicted = 0;
  for (int i = 0; i < 100000; ++i) {
    evicted += store.take_now({charge("flood" + std::to_string(i), 100)}, true, kStart).evicted;
  }
  EXPECT_LE(store.counters(), 6600U);
  EXPECT_EQ(store.evictions(), evicted);
  EXPECT_GT(evicted, 90000);
  for (int key = 0; key < 500; ++key) {
    const std::int64_t expected = 1 + key % 20 + (key % 20 == 0 ? 30 : 0);
    EXPECT_EQ(used(store, "known" + std::to_string(key), kStart), expected);
  }
}

TEST(MemoryStore, WhatIsReservedIsNeverDrivenOut) {
  MemoryStore store({.keys = 64}, MemoryStore::random_secret(), false);
  Charge mine = charge("mine", 5);
  mine.reserve = true;
  const ReservationId id = store.take_now({mine}, true, kStart).reservation;
  for (int i = 0; i < 10000; ++i) store.take_now({charge("flood" + std::to_string(i), 100)}, true, kStart);
  store.settle_now({id}, Settlement::keep, kStart);
  EXPECT_EQ(used(store, "mine", kStart), 1);
}

// One of each measure, in the middle of its use.
std::vector<Charge> one_of_each() {
  std::vector<Charge> charges = {charge("window", 10), charge("bucket", 10), charge("fixed", 10), charge("members", 10),
                                 charge("sighting", 0)};
  charges[1].measure = Bucket::Rate{6, hours(1)};
  charges[2].measure = Fixed{kStart + hours(5)};
  charges[3].measure = Distinct{hours(1)};
  charges[3].member = "m1";
  charges[4].measure = Greylisting{minutes(5), hours(24), hours(240), 0};
  charges[4].even_if_full = true;
  charges[4].group = 1;
  return charges;
}

// Hands all that has changed in one store to a new one.
std::unique_ptr<MemoryStore> restored(MemoryStore& from, const MemoryStore::Secret& secret, Instant now,
                                      Duration shift = {}) {
  auto to = std::make_unique<MemoryStore>(MemoryStore::Bounds{}, secret, true);
  std::vector<MemoryStore::Change> changes;
  for (std::size_t shard = 0; shard < MemoryStore::kShards; ++shard) from.changes(shard, now, shift, changes);
  for (const MemoryStore::Change& change : changes) {
    auto counter = Counter::load(change.state, now + shift);
    EXPECT_TRUE(counter);
    if (!counter) continue;
    EXPECT_TRUE(to->restore(change.key, *std::move(counter)));
  }
  return to;
}

TEST(MemoryStore, WhatIsKeptLateGoesToItsOwnCounter) {
  MemoryStore store;
  Charge held = charge("alice", 10, 3);
  held.reserve = true;
  const Readings reserved = store.take_now({held}, true, kStart);
  store.forget({"alice"}, kStart, [](bool) {});
  // Some of them take its place.
  for (int i = 0; i < 1000; ++i) store.take_now({charge(std::to_string(i), 10, 7)}, true, kStart);
  store.settle_now({reserved.reservation}, Settlement::keep, kStart);
  EXPECT_EQ(used(store, "alice", kStart), 3);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(used(store, std::to_string(i), kStart), 7) << i;
}

TEST(MemoryStore, StoresOnOneThreadDoNotMixTheirKeys) {
  MemoryStore one;
  MemoryStore other;
  for (int i = 0; i < 3; ++i) {
    const std::vector<Charge> charges = {charge("alice", 100, 1), charge("bob", 100, 2)};
    EXPECT_EQ(one.take_now(charges, true, kStart).readings[1]->used, i * 2);
    EXPECT_EQ(other.take_now({charges[1], charges[0]}, true, kStart).readings[0]->used, i * 2);
    EXPECT_EQ(other.take_now({charges[0]}, false, kStart).readings[0]->used, i + 1);
  }
  EXPECT_EQ(used(one, "alice", kStart), 3);
  EXPECT_EQ(used(one, "bob", kStart), 6);
}

TEST(MemoryStore, WhatIsSavedComesBackAsItWas) {
  const MemoryStore::Secret secret = MemoryStore::random_secret();
  for (const Duration shift : {Duration(0), Duration(hours(1)), Duration(-hours(1)), Duration(microseconds(12345))}) {
    MemoryStore store({}, secret, true);
    for (int i = 0; i < 3; ++i) {
      std::vector<Charge> charges = one_of_each();
      charges[3].member += std::to_string(i);
      store.take_now(charges, true, kStart + i * minutes(3));
    }
    const Instant now = kStart + minutes(9);
    const auto copy = restored(store, secret, now, shift);
    std::vector<Charge> look = one_of_each();
    look.back().even_if_full = false;
    for (const Duration later : {Duration(0), Duration(minutes(30)), Duration(minutes(62)), Duration(hours(30))}) {
      const Readings before = store.take_now(look, false, now + later);
      const Readings after = copy->take_now(look, false, now + later + shift);
      for (std::size_t i = 0; i < look.size(); ++i) {
        EXPECT_EQ(before.readings[i]->used, after.readings[i]->used) << i;
        EXPECT_EQ(before.readings[i]->fits, after.readings[i]->fits) << i;
        EXPECT_EQ(before.readings[i]->sighting, after.readings[i]->sighting) << i;
      }
    }
  }
}

// A crash returns what was reserved; only what was kept is saved.
TEST(MemoryStore, ReservationsAreNotSaved) {
  const MemoryStore::Secret secret = MemoryStore::random_secret();
  MemoryStore store({}, secret, true);
  std::vector<Charge> charges = one_of_each();
  for (Charge& c : charges) c.reserve = !c.even_if_full;
  const Readings kept = store.take_now(charges, true, kStart);
  store.settle_now({kept.reservation}, Settlement::keep, kStart);
  charges[3].member = "m2";
  store.take_now(charges, true, kStart);
  const auto copy = restored(store, secret, kStart);
  for (const Charge& c : charges) {
    if (c.even_if_full) continue;
    EXPECT_EQ(copy->take_now({c}, false, kStart).readings[0]->used, 1) << c.counter;
  }
}

TEST(MemoryStore, ListsEachChangeOnceAndWhatIsGone) {
  MemoryStore store({}, MemoryStore::random_secret(), true);
  const auto changes = [&](Instant now) {
    std::vector<MemoryStore::Change> all;
    for (std::size_t shard = 0; shard < MemoryStore::kShards; ++shard) store.changes(shard, now, {}, all);
    return all;
  };
  for (int i = 0; i < 3; ++i) store.take_now({charge("a", 10)}, true, kStart);
  store.take_now({charge("b", 0)}, true, kStart);  // refused: nothing has changed
  const auto first = changes(kStart);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_TRUE(changes(kStart).empty());
  store.list_again(first);
  EXPECT_EQ(changes(kStart).size(), 1U);
  store.take_now({charge("a", 10)}, true, kStart + hours(5));
  EXPECT_FALSE(changes(kStart + hours(5)).at(0).state.empty());
  store.take_now({charge("a", 10)}, true, kStart + hours(5));
  EXPECT_TRUE(changes(kStart + hours(9)).at(0).state.empty());
}

// Octets that no store wrote are refused, or are some counter; never more than that.
TEST(Counter, RefusesWhatMakesNoSense) {
  const MemoryStore::Secret secret = MemoryStore::random_secret();
  MemoryStore store({}, secret, true);
  for (int i = 0; i < 3; ++i) store.take_now(one_of_each(), true, kStart + i * minutes(3));
  std::vector<MemoryStore::Change> changes;
  for (std::size_t shard = 0; shard < MemoryStore::kShards; ++shard) store.changes(shard, kStart, {}, changes);
  ASSERT_EQ(changes.size(), 5U);
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string octets = changes[random() % changes.size()].state;
    switch (random() % 3) {
      case 0: octets[random() % octets.size()] ^= static_cast<char>(1U << random() % 8); break;
      case 1: octets.resize(random() % octets.size()); break;
      default: octets += static_cast<char>(random() % 256);
    }
    if (const auto counter = Counter::load(octets, kStart + hours(1))) {
      PackedWriter out;
      counter->save(out, {});
      EXPECT_FALSE(out.octets().empty());
    }
  }
  EXPECT_FALSE(Counter::load("", kStart));
  EXPECT_FALSE(Counter::load(changes[0].state + '\0', kStart));
}

}  // namespace
}  // namespace replygate

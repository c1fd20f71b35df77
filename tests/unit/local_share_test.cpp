// Counting on one host while the shared store cannot be asked.

#include "policy/count/local_share.h"

#include <gtest/gtest.h>

#include <array>

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

// A shared store that is sometimes away.
class Shared final : public Store {
 public:
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    if (away) return done({});
    store.take(std::move(charges), admit, now, std::move(done));
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    store.settle(std::move(ids), settlement, now, std::move(done));
  }
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
    store.forget(std::move(counters), now, std::move(done));
  }
  MemoryStore store;
  bool away = false;
};

class LocalShareTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kHosts = 4;

  static Charge charge(std::int64_t most = 10, std::int64_t cost = 1) {
    return {.counter = "q", .measure = Sliding{hours(1)}, .most = most, .cost = cost, .reserve = false, .local = true};
  }
  Readings take(std::size_t host, std::vector<Charge> charges) {
    Readings result;
    hosts_[host].take(std::move(charges), true, now_, [&](Readings r) { result = std::move(r); });
    return result;
  }
  // How many of `attempts` are admitted.
  int admitted(std::size_t host, int attempts, const Charge& one) {
    int count = 0;
    for (int i = 0; i < attempts; ++i) {
      const Readings r = take(host, {one});
      count += !r.readings.empty() && r.readings[0] && r.readings[0]->fits ? 1 : 0;
    }
    return count;
  }
  std::int64_t shared_use() {
    Charge look = charge();
    look.cost = 0;
    return shared_.store.take_now({look}, false, now_).readings[0]->used;
  }

  Shared shared_;
  std::array<LocalShare, kHosts> hosts_ = {LocalShare(shared_, kHosts, {}), LocalShare(shared_, kHosts, {}),
                                           LocalShare(shared_, kHosts, {}), LocalShare(shared_, kHosts, {})};
  Instant now_{hours(490000)};
};

TEST_F(LocalShareTest, EachHostGivesItsPart) {
  shared_.away = true;
  for (std::size_t host = 0; host < kHosts; ++host) EXPECT_EQ(admitted(host, 100, charge(11)), 2);
  const Readings r = take(0, {charge(11)});
  EXPECT_TRUE(r.readings[0]->local);
  EXPECT_EQ(r.readings[0]->used, 11);  // nothing of the limit is left to this host
}

// What all have used before is not given out again, by whom it was seen; nor has a host more than its part.
TEST_F(LocalShareTest, OfWhatIsLeft) {
  EXPECT_EQ(admitted(0, 6, charge(14)), 6);
  for (std::size_t host = 1; host < kHosts; ++host) take(host, {charge(14, 0)});
  shared_.away = true;
  EXPECT_EQ(admitted(0, 100, charge(14)), 0);
  for (std::size_t host = 1; host < kHosts; ++host) EXPECT_EQ(admitted(host, 100, charge(14)), 2);
}

TEST_F(LocalShareTest, WhatWasCountedHereIsToldOnReturn) {
  shared_.away = true;
  EXPECT_EQ(admitted(0, 2, charge(40)), 2);
  Charge reserved = charge(40, 3);
  reserved.reserve = true;
  const ReservationId kept = take(0, {reserved}).reservation;
  const ReservationId returned = take(0, {reserved}).reservation;
  EXPECT_NE(kept, 0U);
  hosts_[0].settle({kept}, Settlement::keep, now_, [] {});
  hosts_[0].settle({returned}, Settlement::give_back, now_, [] {});
  EXPECT_EQ(shared_use(), 0);
  shared_.away = false;
  take(0, {charge(40)});
  EXPECT_EQ(hosts_[0].to_be_told(), 0U);
  EXPECT_EQ(shared_use(), 6);
  // The next outage begins with what is known then.
  shared_.away = true;
  EXPECT_EQ(admitted(0, 100, charge(40)), 40 / 4 - 6);
}

TEST_F(LocalShareTest, OnlyWhereTheRuleSaysSo) {
  Charge other = charge();
  other.counter = "other";
  other.local = false;
  shared_.away = true;
  const Readings both = take(0, {charge(), other});
  EXPECT_TRUE(both.readings[0]);
  EXPECT_FALSE(both.readings[1]);
  EXPECT_TRUE(take(0, {other}).readings.empty());
}

TEST_F(LocalShareTest, WhoIsKnownStaysKnown) {
  Charge seen = charge(0);
  seen.measure = Greylisting{minutes(5), hours(24), hours(240), 0};
  seen.even_if_full = true;
  take(0, {seen});
  now_ += minutes(6);
  EXPECT_EQ(take(0, {seen}).readings[0]->sighting, Sighting::State::passing);
  shared_.away = true;
  EXPECT_TRUE(take(0, {seen}).readings[0]->fits);
  EXPECT_FALSE(take(1, {seen}).readings[0]->fits);
}

TEST_F(LocalShareTest, DifferentMembers) {
  const auto member = [](const std::string& name) {
    Charge c = charge(8);
    c.measure = Distinct{hours(1)};
    c.member = name;
    return c;
  };
  shared_.away = true;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take(0, {member("a")}).readings[0]->fits);
  EXPECT_TRUE(take(0, {member("b")}).readings[0]->fits);
  EXPECT_FALSE(take(0, {member("c")}).readings[0]->fits);
  shared_.away = false;
  take(0, {member("a")});
  Charge look = member("");
  look.cost = 0;
  EXPECT_EQ(shared_.store.take_now({look}, false, now_).readings[0]->used, 2);
}

}  // namespace
}  // namespace replygate

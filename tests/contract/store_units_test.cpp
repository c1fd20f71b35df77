// Buckets, periods, members, sightings and warnings of every store.

#include "tests/contract/store_contract.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_P(StoreContract, ABucketIsFilledAgain) {
  const Charge one{.counter = "b", .measure = Bucket::Rate{60, hours(1)}, .most = 3, .reserve = false};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take({one}).readings[0]->fits);
  const Readings full = take({one});
  EXPECT_FALSE(full.readings[0]->fits);
  EXPECT_EQ(full.readings[0]->room_at, now_ + minutes(1));
  now_ += minutes(2);
  EXPECT_EQ(take({one}).readings[0]->used, 1);
}

TEST_P(StoreContract, WhatABucketGaveIsTakenBack) {
  const Charge two{.counter = "b", .measure = Bucket::Rate{60, hours(1)}, .most = 3, .cost = 2};
  const Readings r = take({two});
  EXPECT_FALSE(take({two}).readings[0]->fits);
  settle({r.reservation}, Settlement::give_back);
  EXPECT_TRUE(take({two}).readings[0]->fits);
}

TEST_P(StoreContract, AFixedPeriodEndsAtItsInstant) {
  const Charge one{.counter = "day 1", .measure = Fixed{now_ + hours(5)}, .most = 1};
  const Readings r = take({one});
  EXPECT_EQ(take({one}).readings[0]->room_at, now_ + hours(5));
  settle({r.reservation}, Settlement::keep);
  now_ += hours(5) - std::chrono::microseconds(1);
  EXPECT_FALSE(take({one}).readings[0]->fits);
}

TEST_P(StoreContract, MembersAreCountedOnce) {
  const auto member = [](std::string name) {
    return Charge{.counter = "d", .measure = Distinct{hours(1)}, .most = 2, .member = std::move(name)};
  };
  const Readings a = take({member("a")});
  EXPECT_EQ(a.readings[0]->cost, 1);
  EXPECT_EQ(take({member("a")}).readings[0]->cost, 0);
  const Readings b = take({member("b")});
  EXPECT_FALSE(take({member("c")}).readings[0]->fits);
  EXPECT_TRUE(take({member("a")}).readings[0]->fits);
  settle({b.reservation}, Settlement::give_back);
  EXPECT_TRUE(take({member("c")}).readings[0]->fits);
}

// As limits of outcomes are compared: without one of their own, below a limit of one.
TEST_P(StoreContract, WhoLooksAtMembersHearsWhenTheyLeave) {
  Charge look{.counter = "o", .measure = Distinct{hours(1)}, .most = 0, .cost = 0, .reserve = false};
  EXPECT_TRUE(take({look}).readings[0]->fits);
  Charge one = look;
  one.most = 1'000'000;
  one.cost = 1;
  one.even_if_full = true;
  for (const char* member : {"a", "b", "a", "b", "a"}) {
    one.member = member;
    take({one}, false);
  }
  const Readings full = take({look});
  EXPECT_EQ(full.readings[0]->used, 2);
  EXPECT_FALSE(full.readings[0]->fits);
  ASSERT_TRUE(full.readings[0]->room_at);
  now_ = *full.readings[0]->room_at - std::chrono::microseconds(1);
  EXPECT_FALSE(take({look}).readings[0]->fits);
  now_ += std::chrono::microseconds(1);
  EXPECT_TRUE(take({look}).readings[0]->fits);
}

TEST_P(StoreContract, SightingsPassAfterTheirDelay) {
  const Charge look{.counter = "g",
                    .measure = Greylisting{minutes(5), hours(24), hours(240), 0},
                    .even_if_full = true,
                    .reserve = false};
  const Readings first = take({look}, false);
  EXPECT_FALSE(first.readings[0]->fits);
  EXPECT_EQ(first.readings[0]->room_at, now_ + minutes(5));
  now_ += minutes(5);
  EXPECT_EQ(take({look}, false).readings[0]->sighting, Sighting::State::passing);
  EXPECT_EQ(take({look}, false).readings[0]->sighting, Sighting::State::known);
}

TEST_P(StoreContract, ACostOfZeroReadsAlone) {
  Charge one = charge("z", 1);
  Charge none = one;
  none.cost = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(take({none}).readings[0]->used, 0);
  take({one});
  EXPECT_EQ(take({none}).readings[0]->used, 1);
  EXPECT_TRUE(take({none}).readings[0]->fits);
}

TEST_P(StoreContract, AWarningComesOnceInAPeriod) {
  Charge one = charge("w", 10);
  one.warn_at = 2;
  one.reserve = false;
  std::vector<bool> warned;
  for (int i = 0; i < 4; ++i) warned.push_back(take({one}).readings[0]->warn);
  EXPECT_EQ(warned, (std::vector<bool>{false, true, false, false}));
  now_ += hours(3);
  take({one});
  EXPECT_TRUE(take({one}).readings[0]->warn);
}

}  // namespace
}  // namespace replygate

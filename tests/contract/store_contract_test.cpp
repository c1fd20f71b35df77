// What every store must do. A store is made by a factory, so that each implementation runs the same tests.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "policy/count/window.h"
#include "tests/contract/store_contract.h"

namespace replygate {
namespace {

using test::soon;

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_P(StoreContract, AdmitsToTheLimitAndNoFurther) {
  for (int i = 0; i < 5; ++i) {
    const Readings r = take({charge("a", 5)});
    EXPECT_TRUE(r.readings[0]->fits);
    EXPECT_EQ(r.readings[0]->used, i);
    settle({r.reservation}, Settlement::keep);
  }
  const Readings r = take({charge("a", 5)});
  EXPECT_FALSE(r.readings[0]->fits);
  EXPECT_EQ(r.reservation, 0U);
  ASSERT_TRUE(r.readings[0]->room_at);
  now_ = *r.readings[0]->room_at;
  EXPECT_TRUE(take({charge("a", 5)}).readings[0]->fits);
}

TEST_P(StoreContract, CostsOfMoreThanOne) {
  EXPECT_TRUE(take({charge("a", 10, 10)}).readings[0]->fits);
  EXPECT_FALSE(take({charge("b", 10, 11)}).readings[0]->fits);
  EXPECT_FALSE(take({charge("b", 10, 11)}).readings[0]->room_at);
  EXPECT_EQ(used("b"), 0);
}

TEST_P(StoreContract, ReservationsAreKeptOrGivenBack) {
  const ReservationId kept = take({charge("a", 2)}).reservation;
  const ReservationId returned = take({charge("a", 2)}).reservation;
  EXPECT_NE(kept, returned);
  EXPECT_EQ(used("a"), 2);
  settle({returned}, Settlement::give_back);
  EXPECT_EQ(used("a"), 1);
  now_ += minutes(9);
  EXPECT_EQ(used("a"), 1);
  settle({kept}, Settlement::keep);
  now_ += hours(1);
  EXPECT_EQ(used("a"), 1);
  now_ += seconds(36);
  EXPECT_EQ(used("a"), 0);
}

TEST_P(StoreContract, SettlingTwiceOrNothingIsHarmless) {
  const ReservationId id = take({charge("a", 2)}).reservation;
  settle({id}, Settlement::give_back);
  settle({id}, Settlement::keep);
  settle({0}, Settlement::keep);
  settle({123456789}, Settlement::keep);
  EXPECT_EQ(used("a"), 0);
}

// However long a session takes: nobody else gets its room, and what is kept in the end was there all the time.
TEST_P(StoreContract, WhatIsReservedStaysSo) {
  Charge member = charge("m", 1);
  member.measure = Distinct{hours(1)};
  member.member = "x";
  const Charge bucket{.counter = "b", .measure = Bucket::Rate{1, hours(1)}, .most = 1};
  const ReservationId id = take({charge("a", 3, 2), member, bucket}).reservation;
  for (const Duration wait : {Duration(minutes(14)), Duration(minutes(16)), Duration(hours(30))}) {
    now_ += wait;
    EXPECT_EQ(used("a"), 2);
    EXPECT_FALSE(take({charge("a", 3, 2)}).readings[0]->fits);
    EXPECT_FALSE(take({bucket}).readings[0]->fits);
    member.member = "y";
    EXPECT_FALSE(take({member}).readings[0]->fits);
  }
  settle({id}, Settlement::keep);
  EXPECT_EQ(used("a"), 2);
  now_ += hours(1) + seconds(36);
  EXPECT_EQ(used("a"), 0);
}

// As if what is reserved were kept now.
TEST_P(StoreContract, SaysWhenThereIsRoomThoughItIsReserved) {
  Charge member = charge("m", 1);
  member.measure = Distinct{hours(1)};
  member.member = "x";
  const Charge bucket{.counter = "b", .measure = Bucket::Rate{60, hours(1)}, .most = 3, .cost = 3};
  take({charge("a", 3, 3), member, bucket});
  member.member = "y";
  const Readings r = take({charge("a", 3), member, bucket});
  for (const std::size_t i : {0U, 1U}) {
    ASSERT_TRUE(r.readings[i]->room_at) << i;
    EXPECT_GE(*r.readings[i]->room_at, now_ + hours(1)) << i;
    EXPECT_LE(*r.readings[i]->room_at, now_ + hours(1) + seconds(36)) << i;
  }
  EXPECT_EQ(r.readings[2]->room_at, now_ + minutes(3));
  EXPECT_FALSE(take({charge("a", 3, 4)}).readings[0]->room_at);
}

TEST_P(StoreContract, ForgettingOneCounterLeavesTheOthers) {
  const ReservationId id = take({charge("a", 5, 2), charge("b", 5, 3)}).reservation;
  std::promise<bool> forgotten;
  store_->forget({"a"}, now_, [&](bool reached) { forgotten.set_value(reached); });
  EXPECT_TRUE(soon(forgotten));
  EXPECT_EQ(used("a"), 0);
  EXPECT_EQ(used("b"), 3);
  now_ += minutes(20);
  EXPECT_EQ(used("b"), 3);
  settle({id}, Settlement::give_back);
  EXPECT_EQ(used("a"), 0);
  EXPECT_EQ(used("b"), 0);
}

// A charge without room that is pardoned keeps nobody out.
TEST_P(StoreContract, APardonedChargeNeedsTheNextOne) {
  Charge look{.counter = "g",
              .measure = Greylisting{minutes(5), hours(24), hours(240), 1},
              .even_if_full = true,
              .pardoned = true,
              .reserve = false};
  Charge known = charge("client", 0, 0);
  known.group = 9;
  EXPECT_EQ(take({look, known, charge("a", 5)}).reservation, 0U);
  EXPECT_EQ(used("a"), 0);
  Charge passed = charge("client", 0);
  passed.even_if_full = true;
  passed.reserve = false;
  take({passed}, false);
  look.counter = "h";
  EXPECT_NE(take({look, known, charge("a", 5)}).reservation, 0U);
  EXPECT_EQ(used("a"), 1);
}

// Of what comes beyond a limit so much is kept that the answer stays exact.
TEST_P(StoreContract, MembersBeyondALimitAreBoundedAndExact) {
  const auto attempt = [&](int number) {
    Charge c{.counter = "d",
             .measure = Distinct{hours(1)},
             .most = 3,
             .even_if_full = true,
             .reserve = false,
             .member = std::to_string(number)};
    return take({c}, false).readings.at(0).value();
  };
  for (int i = 0; i < 500; ++i) {
    now_ += seconds(1);
    EXPECT_EQ(attempt(i).fits, i < 3);
  }
  EXPECT_LE(attempt(1000).used, 8);
  now_ += hours(1) - minutes(2);  // the last two minutes still count
  EXPECT_FALSE(attempt(1001).fits);
  now_ += minutes(30);
  const Reading left = attempt(1002);
  EXPECT_EQ(left.used, 1);
  EXPECT_TRUE(left.fits);
}

TEST_P(StoreContract, ManyAreSettledAtOnce) {
  std::vector<ReservationId> ids = {0};
  for (int i = 0; i < 3; ++i) ids.push_back(take({charge("a", 9), charge("b" + std::to_string(i), 9)}).reservation);
  settle(ids, Settlement::keep);
  now_ += minutes(20);
  EXPECT_EQ(used("a"), 3);
  EXPECT_EQ(used("b2"), 1);
}

TEST_P(StoreContract, ARenamedCounterKeepsItsUse) {
  Charge old = charge("old", 5, 3);
  old.reserve = false;
  take({old});
  Charge renamed = charge("new", 5, 2);
  renamed.was = "old";
  EXPECT_EQ(take({renamed}).readings[0]->used, 3);
  EXPECT_FALSE(take({renamed}).readings[0]->fits);
  EXPECT_EQ(used("old"), 0);
}

// What is reserved under the old name is settled there; the new one takes it over as soon as it can.
TEST_P(StoreContract, ARenamedCounterWaitsForReservations) {
  const ReservationId id = take({charge("old", 5, 3)}).reservation;
  Charge renamed = charge("new", 5, 3);
  renamed.was = "old";
  EXPECT_FALSE(take({renamed}).readings[0]->fits);
  settle({id}, Settlement::keep);
  EXPECT_EQ(take({renamed}).readings[0]->used, 3);
}

TEST_P(StoreContract, WhatIsForgottenIsNotCounted) {
  Charge counted = charge("a", 5, 3);
  counted.reserve = false;
  take({counted});
  Charge member = charge("m", 5);
  member.measure = Distinct{hours(1)};
  member.member = "x";
  member.reserve = false;
  take({member});
  const ReservationId open = take({charge("a", 9, 2), charge("b", 9)}).reservation;
  std::promise<bool> forgotten;
  store_->forget({"a", "m", "never"}, now_, [&](bool reached) { forgotten.set_value(reached); });
  EXPECT_TRUE(soon(forgotten));
  EXPECT_EQ(used("a"), 0);
  EXPECT_EQ(take({member}, false).readings.at(0)->used, 0);
  settle({open}, Settlement::keep);  // mail that is on its way counts once it is accepted
  EXPECT_EQ(used("a"), 2);
  EXPECT_EQ(used("b"), 1);
}

TEST_P(StoreContract, AGroupIsChargedAsAWhole) {
  take({charge("narrow", 1)});
  const Readings r = take({charge("wide", 10), charge("narrow", 1)});
  EXPECT_TRUE(r.readings[0]->fits);
  EXPECT_FALSE(r.readings[1]->fits);
  EXPECT_EQ(used("wide"), 0);
  EXPECT_EQ(used("narrow"), 1);
}

TEST_P(StoreContract, GroupsDoNotTouchEachOther) {
  Charge observed = charge("observed", 0);
  observed.group = 1;
  EXPECT_NE(take({charge("enforced", 1), observed}).reservation, 0U);
  EXPECT_EQ(used("enforced"), 1);
  EXPECT_EQ(used("observed"), 0);
}

TEST_P(StoreContract, EvenIfFull) {
  Charge attempt = charge("attempts", 1);
  attempt.even_if_full = true;
  attempt.reserve = false;
  for (int i = 0; i < 3; ++i) take({attempt, charge("other", 5)}, i == 0);
  EXPECT_EQ(used("attempts"), 3);
  EXPECT_EQ(used("other"), 1);
}

// What counts though it is refused takes room itself.
TEST_P(StoreContract, AttemptsAreToldOfRoomBehindThemselves) {
  std::vector<Charge> all = {charge("window", 1), charge("bucket", 3), charge("day", 1), charge("members", 1)};
  all[1].measure = Bucket::Rate{60, hours(1)};
  all[2].measure = Fixed{now_ + hours(5)};
  all[3].measure = Distinct{hours(1)};
  all[3].member = "x";
  for (Charge& c : all) {
    c.even_if_full = true;
    c.reserve = false;
  }
  const Instant begin = now_;
  take({all[0], all[2], all[3]});
  now_ += minutes(20);
  for (int i = 0; i < 3; ++i) take({all[1]});
  all[3].member = "y";
  const Readings r = take(all);
  const Instant hour_later = hundredth::expiry(hundredth::of(now_, hours(1)), hours(1));
  EXPECT_EQ(r.readings[0]->room_at, hour_later);
  EXPECT_EQ(r.readings[1]->room_at, now_ + minutes(2));
  EXPECT_EQ(r.readings[2]->room_at, begin + hours(5));
  EXPECT_EQ(r.readings[3]->room_at, hundredth::expiry(hundredth::of(begin, hours(1)), hours(1)));
  now_ = hour_later;
  for (const auto& reading : take(all).readings) EXPECT_EQ(reading->fits, reading->used == 0);
}

// Several charges of one take on one counter, and one that fits and takes the last room, likewise.
TEST_P(StoreContract, AllThatATakeChargesIsBehindWhenThereIsRoom) {
  Charge attempt = charge("a", 2);
  attempt.even_if_full = true;
  attempt.reserve = false;
  take({attempt, attempt});
  now_ += minutes(20);
  Charge beside = attempt;
  beside.counter = "b";
  beside.most = 1;
  const Readings r = take({attempt, attempt, beside, charge("c", 1)});
  const Instant hour_later = hundredth::expiry(hundredth::of(now_, hours(1)), hours(1));
  EXPECT_TRUE(r.readings[2]->fits);
  for (const std::size_t i : {0U, 1U, 2U}) EXPECT_EQ(r.readings[i]->room_at, hour_later) << i;
  EXPECT_EQ(r.readings[3]->room_at, now_);
  EXPECT_EQ(used("c"), 0);
}

// It is compared as what it was charged for, and told of what coming anew would cost.
TEST_P(StoreContract, WhatIsChargedAlreadyWouldCostAnew) {
  Charge counted = charge("a", 9);
  counted.reserve = false;
  take({counted});
  now_ += minutes(20);
  counted.cost = 2;
  take({counted});
  Charge look = charge("a", 2, 0);
  look.again = 1;
  const Readings r = take({look});
  EXPECT_FALSE(r.readings[0]->fits);
  EXPECT_EQ(r.readings[0]->room_at, hundredth::expiry(hundredth::of(now_, hours(1)), hours(1)));
  look.again = 0;
  EXPECT_EQ(take({look}).readings[0]->room_at,
            hundredth::expiry(hundredth::of(now_ - minutes(20), hours(1)), hours(1)));
}

TEST_P(StoreContract, AtOnce) {
  Charge c = charge("a", 5);
  c.reserve = false;
  EXPECT_EQ(take({c}).reservation, 0U);
  EXPECT_EQ(used("a"), 1);
}

TEST_P(StoreContract, WithoutAdmissionNothingIsCharged) {
  EXPECT_TRUE(take({charge("a", 5)}, false).readings[0]->fits);
  EXPECT_EQ(used("a"), 0);
}

TEST_P(StoreContract, ManyKeysComeAndGo) {
  for (int i = 0; i < 20000; ++i) {
    const Readings r = take({charge("key" + std::to_string(i), 5)});
    settle({r.reservation}, Settlement::keep);
    if (i % 1000 == 0) now_ += hours(1);
  }
  EXPECT_EQ(used("key19999"), 1);
}

// 16 threads, one key: exactly the limit, each time.
TEST_P(StoreContract, IsExactUnderThreads) {
  constexpr int kThreads = 16;
  constexpr int kAttempts = 500;
  constexpr int kMost = 1000;
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> admitted{0};
    std::vector<std::thread> threads;
    const std::string counter = "round" + std::to_string(round);
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kAttempts; ++i) {
          const Readings r = take({charge(counter, kMost)});
          if (!r.readings[0]->fits) continue;
          const bool keep = (i + t) % 3 != 0;
          settle({r.reservation}, keep ? Settlement::keep : Settlement::give_back);
          if (keep) ++admitted;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    // Whoever gave back left room for others; what is left over is taken now.
    while (take({charge(counter, kMost)}).readings[0]->fits) ++admitted;
    EXPECT_EQ(admitted, kMost);
  }
}

}  // namespace
}  // namespace replygate

// Token buckets, windows of members, sightings: the arithmetic of each measure.

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

#include "policy/count/bucket.h"
#include "policy/count/distinct.h"
#include "policy/count/sighting.h"
#include "policy/count/window.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{hours(490000)};
constexpr std::int64_t kMost = 100;  // no test of members comes near it but those that say so

TEST(Window, RoomComesBackWithinAHundredthOfThePeriod) {
  for (int offset = 0; offset < 200; ++offset) {
    const Instant at = kStart + seconds(offset);
    Window window;
    window.add(1, at, hours(1));
    EXPECT_EQ(window.used(at + hours(1), hours(1)), 1);
    EXPECT_EQ(window.used(at + hours(1) + seconds(36), hours(1)), 0);
    const auto room = window.room_at(1, 1, at, hours(1));
    ASSERT_TRUE(room);
    EXPECT_GE(*room, at + hours(1));
    EXPECT_LE(*room, at + hours(1) + seconds(36));
    EXPECT_EQ(window.used(*room, hours(1)), 0);
    EXPECT_EQ(window.used(*room - Duration(1), hours(1)), 1);
  }
}

TEST(Window, ReservationsCountUntilSettled) {
  Window window;
  window.reserve(3);
  EXPECT_EQ(window.used(kStart, minutes(1)), 3);
  EXPECT_EQ(window.used(kStart + hours(5), minutes(1)), 3);  // a slow client holds its room
  // What is reserved is taken to be kept now.
  EXPECT_EQ(window.room_at(1, 3, kStart, minutes(1)), hundredth::expiry(hundredth::of(kStart, minutes(1)), minutes(1)));
  EXPECT_EQ(window.room_at(4, 3, kStart, minutes(1)), std::nullopt);
  window.give_back(3);
  window.add(2, kStart + hours(5), minutes(1));
  EXPECT_EQ(window.used(kStart + hours(5) + minutes(1), minutes(1)), 2);
  EXPECT_LE(window.idle_at(), kStart + hours(5) + minutes(1) + seconds(1));
}

TEST(Window, AClockThatRunsBackwardsAdmitsNothingMore) {
  Window window;
  window.add(5, kStart, hours(1));
  window.add(5, kStart - minutes(30), hours(1));
  EXPECT_EQ(window.used(kStart, hours(1)), 10);
  EXPECT_EQ(window.used(kStart + minutes(59), hours(1)), 10);
}

// Against an exact log: whatever the steps of time, in no interval of the period more than the limit is admitted.
TEST(Window, NeverAdmitsMoreThanTheLimitInAnyInterval) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    const Duration period = seconds(1 + static_cast<int>(random() % 7200));
    const auto most = static_cast<std::int64_t>(1 + random() % 50);
    Window window;
    std::deque<Instant> admitted;
    Instant now = kStart + Duration(static_cast<std::int64_t>(random() % 1000000));
    for (int i = 0; i < 2000; ++i) {
      now += Duration(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(period.count() / 10 + 1)));
      while (!admitted.empty() && admitted.front() + period < now) admitted.pop_front();
      const auto exact = static_cast<std::int64_t>(admitted.size());
      ASSERT_GE(window.used(now, period), exact);
      if (window.used(now, period) + 1 > most) continue;
      window.add(1, now, period);
      admitted.push_back(now);
      ASSERT_LE(static_cast<std::int64_t>(admitted.size()), most);
    }
  }
}

TEST(Bucket, GivesItsDepthAtOnceAndThenAsItIsFilled) {
  const Bucket::Rate rate{60, hours(1)};
  Bucket bucket;
  bucket.add(50, kStart, rate);
  EXPECT_EQ(bucket.used(kStart, rate), 50);
  EXPECT_EQ(bucket.used(kStart + minutes(1) - microseconds(1), rate), 50);
  EXPECT_EQ(bucket.used(kStart + minutes(1), rate), 49);
  EXPECT_EQ(bucket.used(kStart + minutes(49), rate), 1);
  EXPECT_EQ(bucket.used(kStart + minutes(50), rate), 0);
  EXPECT_EQ(bucket.used(kStart + hours(1000), rate), 0);
}

TEST(Bucket, SaysWhenThereIsRoom) {
  const Bucket::Rate rate{60, hours(1)};
  Bucket bucket;
  EXPECT_EQ(bucket.room_at(51, 50, kStart, rate), std::nullopt);
  EXPECT_EQ(bucket.room_at(50, 50, kStart, rate), kStart);
  bucket.add(50, kStart, rate);
  EXPECT_EQ(bucket.room_at(1, 50, kStart, rate), kStart + minutes(1));
  EXPECT_EQ(bucket.room_at(50, 50, kStart + minutes(7), rate), kStart + minutes(50));
  EXPECT_EQ(bucket.room_at(1, 50, kStart, {0, hours(1)}), std::nullopt);
}

TEST(Bucket, ReservationsCountUntilTheyAreGivenBack) {
  const Bucket::Rate rate{60, hours(1)};
  Bucket bucket;
  bucket.add(10, kStart, rate);
  bucket.reserve(20);
  EXPECT_EQ(bucket.used(kStart + minutes(5), rate), 25);
  EXPECT_EQ(bucket.used(kStart + hours(5), rate), 20);
  EXPECT_EQ(bucket.room_at(31, 50, kStart, rate), kStart + minutes(11));  // as if what is reserved were taken now
  EXPECT_EQ(bucket.room_at(30, 50, kStart, rate), kStart + minutes(10));
  bucket.give_back(20);
  EXPECT_EQ(bucket.used(kStart + minutes(5), rate), 5);
}

// In no interval more than depth + n per period, whatever the numbers.
TEST(Bucket, NeverOneTooMany) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const Bucket::Rate rate{static_cast<std::int64_t>(1 + random() % 1000), microseconds(1 + random() % 1000000)};
    const auto depth = static_cast<std::int64_t>(1 + random() % 50);
    Bucket bucket;
    std::deque<Instant> admitted;
    Instant now = kStart;
    for (int i = 0; i < 300; ++i) {
      now += microseconds(random() % 5000);
      if (bucket.used(now, rate) + 1 > depth) continue;
      bucket.add(1, now, rate);
      admitted.push_back(now);
    }
    for (std::size_t from = 0; from < admitted.size(); from += 7) {
      for (std::size_t to = from; to < admitted.size(); ++to) {
        const auto passed = (admitted[to] - admitted[from]).count();
        const auto most = depth + rate.most * passed / rate.period.count() + 1;
        ASSERT_LE(static_cast<std::int64_t>(to - from + 1), most) << rate.most << '/' << rate.period.count();
      }
    }
  }
}

TEST(Bucket, HugeNumbersDoNotOverflow) {
  const Bucket::Rate rate{std::int64_t{1} << 50, hours(24 * 3650)};
  Bucket bucket;
  bucket.add(std::int64_t{1} << 50, kStart, rate);
  EXPECT_GT(bucket.used(kStart + hours(24 * 1825), rate), std::int64_t{1} << 48);
  EXPECT_EQ(bucket.used(kStart + hours(24 * 3651), rate), 0);
}

TEST(DistinctWindow, CountsEachMemberOnce) {
  DistinctWindow window;
  const Duration hour = hours(1);
  for (const DistinctWindow::Member member : {1U, 2U, 1U, 3U, 1U}) window.add(member, kMost, kStart, hour);
  EXPECT_EQ(window.used(kStart), 3);
  EXPECT_TRUE(window.contains(1, kStart));
  EXPECT_FALSE(window.contains(4, kStart));
  window.add(1, kMost, kStart + minutes(30), hour);  // stays another hour
  EXPECT_EQ(window.used(kStart + minutes(61)), 1);
  EXPECT_EQ(window.used(kStart + minutes(92)), 0);
}

TEST(DistinctWindow, ReservationsCountUntilTheyAreSettled) {
  DistinctWindow window;
  const Duration hour = hours(1);
  window.reserve(1, kStart, hour);
  window.reserve(1, kStart, hour);
  EXPECT_EQ(window.used(kStart + hours(9)), 1);
  window.give_back(1, kStart);
  EXPECT_EQ(window.used(kStart + hours(9)), 1);
  window.give_back(1, kStart + hours(9));
  EXPECT_EQ(window.used(kStart + hours(9)), 0);
  window.add(1, kMost, kStart + hours(9), hour);
  EXPECT_EQ(window.used(kStart + hours(9)), 1);
  EXPECT_EQ(window.used(kStart + hours(11)), 0);
}

TEST(DistinctWindow, SaysWhenThereIsRoom) {
  DistinctWindow window;
  const Duration hour = hours(1);
  window.add(1, kMost, kStart, hour);
  window.add(2, kMost, kStart + minutes(10), hour);
  EXPECT_EQ(window.room_at(9, 1, 3, kStart + minutes(20)), kStart + minutes(20));
  const auto room = window.room_at(9, 1, 2, kStart + minutes(20));
  ASSERT_TRUE(room);
  EXPECT_GE(*room, kStart + hour);
  EXPECT_LE(*room, kStart + hour + hour / 100);
  EXPECT_EQ(window.room_at(9, 1, 0, kStart), std::nullopt);
  // One that is there waits for the other alone, beyond a limit of one.
  EXPECT_EQ(window.room_at(2, 0, 1, kStart + minutes(20)), room);
  // To have none at all it waits for its own end, too.
  const auto empty = window.room_at(2, 0, 0, kStart + minutes(20));
  ASSERT_TRUE(empty);
  EXPECT_GE(*empty, kStart + minutes(10) + hour);
  EXPECT_EQ(window.room_at(2, 1, 0, kStart + minutes(20)), std::nullopt);
  window.reserve(3, kStart, hour);
  window.reserve(4, kStart, hour);
  // What is reserved is taken to be kept now.
  EXPECT_EQ(window.room_at(9, 1, 1, kStart), hundredth::expiry(hundredth::of(kStart, hour), hour));
}

// Against a model that keeps all: the same answer at every instant, in bounded memory.
TEST(DistinctWindow, RemembersNoMoreThanTellsWhenThereIsRoom) {
  constexpr std::int64_t kLimit = 10;
  std::mt19937_64 random(11);
  DistinctWindow window;
  std::map<DistinctWindow::Member, Instant> all;
  Instant now = kStart;
  const Duration hour = hours(1);
  for (int i = 0; i < 50'000; ++i) {
    now +=
        i % 5000 < 4900 ? Duration(static_cast<std::int64_t>(random() % 1'000'000)) : Duration(minutes(random() % 20));
    const DistinctWindow::Member member = random() % (i % 3000 < 1500 ? 20 : 1'000'000);
    erase_if(all, [&](const auto& seen) { return hundredth::expiry(hundredth::of(seen.second, hour), hour) <= now; });
    const auto exact = static_cast<std::int64_t>(all.size());
    const std::int64_t used = window.used(now);
    ASSERT_EQ(std::min(used, kLimit + 1), std::min(exact, kLimit + 1)) << i;
    const bool fits = exact + (all.contains(member) ? 0 : 1) <= kLimit;
    ASSERT_EQ(used + (window.contains(member, now) ? 0 : 1) <= kLimit, fits) << i;
    window.add(member, kLimit, now, hour);
    all[member] = now;
    ASSERT_LE(window.kept(), 4 * static_cast<std::size_t>(kLimit + 1));
  }
}

TEST(Sighting, WaitsOnceAndIsKnownThen) {
  const Greylisting rule{.delay = minutes(5), .retry_within = hours(24), .remember = hours(24 * 36)};
  using State = Sighting::State;
  Sighting s;
  EXPECT_EQ(s.see(kStart, rule), State::fresh);
  EXPECT_EQ(s.see(kStart + minutes(5) - seconds(1), rule), State::early);
  EXPECT_EQ(s.first(), kStart);  // an early retry does not put it off
  EXPECT_EQ(s.see(kStart + minutes(5), rule), State::passing);
  EXPECT_EQ(s.see(kStart + hours(24 * 36), rule), State::known);
  EXPECT_EQ(s.see(kStart + hours(24 * 71), rule), State::known);
  EXPECT_EQ(s.see(kStart + hours(24 * 108), rule), State::fresh);
}

TEST(Sighting, ARetryThatComesTooLateBeginsAnew) {
  const Greylisting rule{.delay = minutes(5), .retry_within = hours(24), .remember = hours(24 * 36)};
  Sighting s;
  s.see(kStart, rule);
  EXPECT_EQ(s.idle_at(), kStart + hours(24));
  EXPECT_EQ(s.see(kStart + hours(24), rule), Sighting::State::fresh);
  EXPECT_EQ(s.first(), kStart + hours(24));
}

}  // namespace
}  // namespace replygate

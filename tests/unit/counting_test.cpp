// Token buckets, windows of members, sightings: the arithmetic of each measure.

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "policy/count/bucket.h"
#include "policy/count/distinct.h"
#include "policy/count/sighting.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{hours(490000)};

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

// What came back by itself while it was reserved is not given back a second time.
TEST(Bucket, GivesBackNoMoreThanWasTaken) {
  const Bucket::Rate rate{60, hours(1)};
  Bucket bucket;
  bucket.add(10, kStart, rate);
  bucket.add(20, kStart + minutes(5), rate);
  EXPECT_EQ(bucket.used(kStart + minutes(5), rate), 25);
  bucket.give_back(10, kStart, kStart + minutes(5), rate);
  EXPECT_EQ(bucket.used(kStart + minutes(5), rate), 20);
  bucket.give_back(100, kStart + minutes(5), kStart + minutes(5), rate);
  EXPECT_EQ(bucket.used(kStart + minutes(5), rate), 0);
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
  for (const DistinctWindow::Member member : {1U, 2U, 1U, 3U, 1U}) window.add(member, kStart, hour);
  EXPECT_EQ(window.used(kStart), 3);
  EXPECT_TRUE(window.contains(1, kStart));
  EXPECT_FALSE(window.contains(4, kStart));
  window.add(1, kStart + minutes(30), hour);  // stays another hour
  EXPECT_EQ(window.used(kStart + minutes(61)), 1);
  EXPECT_EQ(window.used(kStart + minutes(92)), 0);
}

TEST(DistinctWindow, ReservationsCountUntilTheyAreSettled) {
  DistinctWindow window;
  const Duration hour = hours(1);
  window.reserve(1, kStart);
  window.reserve(1, kStart);
  EXPECT_EQ(window.used(kStart + hours(9)), 1);
  window.give_back(1);
  EXPECT_EQ(window.used(kStart + hours(9)), 1);
  window.keep(1, kStart + hours(9), hour);
  EXPECT_EQ(window.used(kStart + hours(9)), 1);
  EXPECT_EQ(window.used(kStart + hours(11)), 0);
}

TEST(DistinctWindow, SaysWhenThereIsRoom) {
  DistinctWindow window;
  const Duration hour = hours(1);
  window.add(1, kStart, hour);
  window.add(2, kStart + minutes(10), hour);
  EXPECT_EQ(window.room_at(3, kStart + minutes(20)), kStart + minutes(20));
  const auto room = window.room_at(2, kStart + minutes(20));
  ASSERT_TRUE(room);
  EXPECT_GE(*room, kStart + hour);
  EXPECT_LE(*room, kStart + hour + hour / 100);
  EXPECT_EQ(window.room_at(0, kStart), std::nullopt);
  window.reserve(3, kStart);
  window.reserve(4, kStart);
  EXPECT_EQ(window.room_at(1, kStart), std::nullopt);  // reservations hold it
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
  EXPECT_TRUE(s.idle(kStart + hours(24), rule));
  EXPECT_EQ(s.see(kStart + hours(24), rule), Sighting::State::fresh);
  EXPECT_EQ(s.first(), kStart + hours(24));
}

}  // namespace
}  // namespace replygate

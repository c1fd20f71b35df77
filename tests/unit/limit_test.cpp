#include "policy/count/limit.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{hours(490000)};

TEST(Limit, PrintsCanonically) {
  EXPECT_EQ((Limit{500, Unit::recipients, Scope::window, hours(1)}).text(), "500 recipients / 1h");
  EXPECT_EQ((Limit{25LL << 20, Unit::bytes, Scope::window, hours(24)}).text(), "25 MiB / 1d");
  EXPECT_EQ((Limit{100, Unit::recipients, Scope::message, {}}).text(), "100 recipients / message");
}

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
  EXPECT_EQ(window.room_at(1, 3, kStart, minutes(1)), std::nullopt);
  window.give_back(1);
  window.keep(2, kStart + hours(5), minutes(1));
  EXPECT_EQ(window.used(kStart + hours(5) + minutes(1), minutes(1)), 2);
  EXPECT_TRUE(window.idle(kStart + hours(5) + minutes(1) + seconds(1), minutes(1)));
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

}  // namespace
}  // namespace replygate

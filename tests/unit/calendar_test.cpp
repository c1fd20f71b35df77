#include "policy/base/calendar.h"

#include <gtest/gtest.h>

#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

Instant at(std::string_view text) { return parse_time(text).value(); }

TEST(Calendar, LocalTimeFollowsTheZone) {
  const Zone vienna = Zone::named("Europe/Vienna").value();
  const LocalTime summer = vienna.local(at("2026-07-31T22:30:00Z"));
  EXPECT_EQ(summer.month, 8U);
  EXPECT_EQ(summer.day, 1U);
  EXPECT_EQ(summer.minute, 30U);
  EXPECT_EQ(summer.weekday, 6U);
  EXPECT_EQ(vienna.local(at("2026-01-31T22:30:00Z")).minute, 23U * 60 + 30);
  EXPECT_EQ(Zone().local(at("2026-11-22T09:00:00Z")).weekday, 7U);
  EXPECT_EQ(weekday_name(7), "sunday");
}

TEST(Calendar, ZonesThatDoNotExist) {
  for (const std::string_view name : {"", "Mars/Olympus", "../../etc/passwd", "/etc/localtime"}) {
    EXPECT_FALSE(Zone::named(name)) << name;
  }
  EXPECT_EQ(Zone::named("UTC")->name(), "UTC");
}

TEST(Calendar, PeriodsEndAtLocalMidnight) {
  const Zone vienna = Zone::named("Europe/Vienna").value();
  const Instant sunday = at("2026-11-22T09:00:00Z");
  EXPECT_EQ(vienna.span(Calendar::day, sunday).begin, "2026-11-22");
  EXPECT_EQ(vienna.span(Calendar::day, sunday).end, at("2026-11-22T23:00:00Z"));
  EXPECT_EQ(vienna.span(Calendar::week, sunday).begin, "2026-11-16");
  EXPECT_EQ(vienna.span(Calendar::week, sunday).end, at("2026-11-22T23:00:00Z"));
  EXPECT_EQ(vienna.span(Calendar::month, sunday).begin, "2026-11-01");
  EXPECT_EQ(vienna.span(Calendar::month, sunday).end, at("2026-11-30T23:00:00Z"));
  EXPECT_EQ(Zone().span(Calendar::month, at("2026-12-31T23:59:59Z")).end, at("2027-01-01T00:00:00Z"));
}

// The day of a clock change has 23 or 25 hours.
TEST(Calendar, ClockChanges) {
  const Zone vienna = Zone::named("Europe/Vienna").value();
  EXPECT_EQ(vienna.span(Calendar::day, at("2026-03-29T12:00:00Z")).end, at("2026-03-29T22:00:00Z"));
  EXPECT_EQ(vienna.span(Calendar::day, at("2026-10-25T12:00:00Z")).end, at("2026-10-25T23:00:00Z"));
  // A midnight that the change skips: the day begins with it.
  const Zone beirut = Zone::named("Asia/Beirut").value();
  EXPECT_EQ(beirut.span(Calendar::day, at("2026-03-28T12:00:00Z")).end, at("2026-03-28T22:00:00Z"));
}

}  // namespace
}  // namespace replygate

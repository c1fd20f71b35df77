#include <gtest/gtest.h>

#include "milter/cli/table.h"
#include "milter/cli/when.h"
#include "policy/decide/record_fields.h"

namespace replygate {
namespace {

Instant from_now(std::chrono::seconds span) {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now() + span);
}

TEST(Table, ColumnsWithoutAnythingTakeNoRoom) {
  Table table({"key", "rule", " used", "room again"});
  table.add({"alice@example.org", "quota", "7", ""});
  table.add({"b", "quota", "12", ""});
  EXPECT_EQ(table.text(0),
            "key                rule    used\nalice@example.org  quota      7\nb                  quota     12\n");
}

TEST(Table, TheWidestColumnIsCut) {
  Table table({"key", " used"});
  table.add({"a-very-long-name@example.org", "7"});
  EXPECT_EQ(table.text(20), "key             used\na-very-long-~      7\n");
}

TEST(Wrapped, LinesEndAtBlanks) {
  EXPECT_EQ(wrapped("one two three four", 2, 12), "one two\n  three four");
  EXPECT_EQ(wrapped("one two", 2, 0), "one two");
  EXPECT_EQ(wrapped("averyveryverylongword x", 2, 12), "averyveryverylongword\n  x");
}

TEST(When, TimesAreTold) {
  using std::chrono::seconds;
  EXPECT_EQ(time_from_now(""), "");
  EXPECT_EQ(time_from_now("soon"), "soon");
  EXPECT_EQ(time_from_now(detail::format_time(from_now(seconds(-200)))), "3 min ago");
  EXPECT_EQ(time_from_now(detail::format_time(from_now(seconds(7230)))), "in 2 h");
  EXPECT_EQ(time_from_now(detail::format_time(from_now(seconds(-4 * 86400)))), "4 d ago");
  EXPECT_EQ(local_clock("2026-11-29T18:02:11Z").size(), 8U);
}

}  // namespace
}  // namespace replygate

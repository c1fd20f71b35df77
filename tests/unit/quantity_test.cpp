#include "policy/mail/quantity.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

using std::chrono::seconds;

TEST(Quantity, Durations) {
  EXPECT_EQ(parse_duration("30s"), seconds(30));
  EXPECT_EQ(parse_duration("1h30m"), seconds(5400));
  EXPECT_EQ(parse_duration("1w2d3h4m5s"), seconds(788645));
  for (const char* bad : {"", "5", "m", "0s", "5x", "1m1h", "1h1h", "-1h", "1 h", "1.5h", "99999999999w", "11000w"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
}

TEST(Quantity, DurationsPrintAsTheyAreRead) {
  for (const char* text : {"30s", "1h30m", "1d", "1w2d3h4m5s"}) {
    EXPECT_EQ(format_duration(parse_duration(text).value()), text);
  }
  EXPECT_EQ(format_duration(std::chrono::microseconds(999)), "0s");
}

TEST(Quantity, Counts) {
  EXPECT_EQ(parse_count("100"), 100);
  EXPECT_EQ(parse_count("20k"), 20000);
  EXPECT_EQ(parse_count("5M"), 5000000);
  for (const char* bad : {"", "k", "1K", "1 k", "-1"}) {
    EXPECT_EQ(parse_count(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_count("1000000000000000"), kMostQuantity);
  for (const char* beyond : {"1000000000000001", "9223372036854775808", "9223372036854775807k"}) {
    EXPECT_EQ(parse_count(beyond), kMostQuantity + 1) << beyond;
  }
}

TEST(Quantity, Sizes) {
  EXPECT_EQ(parse_size("25 MiB"), 25LL << 20);
  EXPECT_EQ(parse_size("25MB"), 25000000);
  EXPECT_EQ(parse_size("10 kB"), 10000);
  EXPECT_EQ(parse_size("512 B"), 512);
  for (const char* bad : {"", "25", "MB", "25 XB", "1.5 MB"}) {
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_size("9223372036854775807 MB"), kMostQuantity + 1);
  EXPECT_EQ(format_size(25LL << 20), "25 MiB");
  EXPECT_EQ(format_size(25000000), "25 MB");
  EXPECT_EQ(format_size(1001), "1001 B");
}

}  // namespace
}  // namespace replygate

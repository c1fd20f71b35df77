#include "policy/count/limit.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Limit, PrintsCanonically) {
  EXPECT_EQ((Limit{500, Unit::recipients, Scope::window, hours(1)}).text(), "500 recipients / 1h");
  EXPECT_EQ((Limit{25LL << 20, Unit::bytes, Scope::window, hours(24)}).text(), "25 MiB / 1d");
  EXPECT_EQ((Limit{100, Unit::recipients, Scope::message, {}}).text(), "100 recipients / message");
}

}  // namespace
}  // namespace replygate

// Limits of keys of their own.

#include <gtest/gtest.h>

#include "tests/support/limits.h"

namespace replygate::test {
namespace {

TEST(Limits, OverridesExactBeforePatternBeforeList) {
  World world(R"(
[lists]
staff = ["boss@ours.example", "news@ours.example", "any@ours.example"]
[[rule]]
name = "quota"
per = "user"
limit = "1 recipients / 1h"
reply = "quota-exceeded"
[rule.override]
"$staff" = "4 recipients / 1h"
"news@ours.example" = "2 recipients / 1h"
"any@" = "3 recipients / 1h"
"root@ours.example" = "unlimited"
)");
  const auto room_of = [&](const std::string& user) {
    int count = 0;
    while (count < 10 && sends(world, user)) ++count;
    return count;
  };
  EXPECT_EQ(room_of("carol@ours.example"), 1);
  EXPECT_EQ(room_of("news@ours.example"), 2);
  EXPECT_EQ(room_of("any@ours.example"), 3);
  EXPECT_EQ(room_of("boss@ours.example"), 4);
  EXPECT_EQ(room_of("Root@Ours.Example"), 10);
}

TEST(Limits, OverridesOfAddressesHaveOneSpelling) {
  World world(limit_rule("per = \"client_ip\"\nlimit = \"1 messages / 1h\"") +
              "[rule.override]\n\"::ffff:203.0.113.5\" = \"3 messages / 1h\"\n");
  int sent = 0;
  while (sent < 10 && sends(world, "carol")) ++sent;
  EXPECT_EQ(sent, 3);
}

}  // namespace
}  // namespace replygate::test

// The time that a refused client is told.

#include <gtest/gtest.h>

#include "tests/support/counts.h"

namespace replygate::test {
namespace {

TEST(Counts, RetryAfterIsWhenThereWillBeRoom) {
  World world(std::string(kSite) +
              rule("r", "per = \"client_ip\"\nlimit = \"3 recipients / 1h\"", told("{retry_after}")));
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(talk.rcpt("<r@example.org>"), "");
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 1h");
  EXPECT_EQ(talk.end(), "");
  talk.mail("<a@x.example>");
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 1h");
  world.pass(minutes(20) + seconds(30));
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 40m6s");  // a whole minute would be more than a hundredth late
}

// The refused attempt has taken room itself, and so has its message where it is refused once more.
TEST(Counts, RetryAfterCountsTheRefusedAttempt) {
  World world(std::string(kSite) + rule("r", "per = \"client_ip\"\nlimit = \"2 messages / 1h\"\ncount = \"attempts\"",
                                        told("{used} {retry_after}")));
  const auto tries = [&] {
    Talk talk(world);
    talk.stranger();
    const std::string reply = talk.rcpt("<r@example.org>");
    EXPECT_EQ(talk.rcpt("<s@example.org>"), reply);
    talk.abort();
    return reply;
  };
  EXPECT_EQ(tries(), "");
  world.pass(minutes(20));
  EXPECT_EQ(tries(), "");
  world.pass(minutes(20));
  EXPECT_EQ(tries(), "451 4.7.28 2 41m");  // when the second one leaves, too
  world.pass(minutes(41));
  EXPECT_EQ(tries(), "");
}

TEST(Counts, RetryAfterCountsWhatTheAttemptFilledElse) {
  World world(std::string(kSite) + rule("r",
                                        "per = \"client_ip\"\nlimit = [\"1 recipients / 1m\", \"2 recipients / 1h\"]\n"
                                        "count = \"attempts\"",
                                        told("{limit} {retry_after}")));
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "");
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 1 recipients / 1m 1h36s");
  world.pass(hours(1) + seconds(36));
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "");
}

TEST(Counts, RetryAfterOfABucketAndOfAMonth) {
  World world(std::string(kSite) +
              rule("b", "per = \"client_ip\"\nlimit = \"60 recipients / 1h\"\nburst = 2", told("{retry_after}")));
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(talk.rcpt("<r@example.org>"), "");
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 1m");
}

}  // namespace
}  // namespace replygate::test

#include "milter/door/milter_macros.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

TEST(MilterMacros, ReplyLinesAreDoubledAndBounded) {
  EXPECT_EQ(reply_line("100% of %s"), "100%% of %%s");
  EXPECT_EQ(reply_line(""), "");
  EXPECT_EQ(reply_line(std::string(500, '%')), std::string(980, '%'));
  EXPECT_EQ(reply_line("a" + std::string(500, '%')), "a" + std::string(978, '%'));  // no half of a pair
}

TEST(MilterMacros, BracketsMeanNoVerifiedName) {
  EXPECT_EQ(client_name("mail.example.org"), "mail.example.org");
  for (const char* host : {"[192.0.2.1]", "[IPv6:0:0:0:0:0:0:0:1]", ""}) EXPECT_EQ(client_name(host), "unknown");
}

TEST(MilterMacros, OrdinaryRecipient) {
  const RcptEvent event = rcpt_event("<User@X.test>", RcptMacros{"smtp", "x.test", "user@x.test"}, true);
  EXPECT_EQ(event.recipient, "<User@X.test>");
  EXPECT_EQ(event.route, "smtp");
  EXPECT_EQ(event.rewritten, "user@x.test");
  EXPECT_FALSE(event.mta_refused);
}

TEST(MilterMacros, RefusedByTheMta) {
  const RcptEvent event = rcpt_event("<u@x.test>", RcptMacros{"error", "5.7.1", "Relay access denied"}, true);
  EXPECT_TRUE(event.mta_refused);
  EXPECT_EQ(event.mta_status, "5.7.1");
  EXPECT_EQ(event.mta_text, "Relay access denied");
  EXPECT_EQ(event.rewritten, "");
}

TEST(MilterMacros, RefusedRecipientsAreNotShownUnasked) {
  const RcptEvent event = rcpt_event("<u@x.test>", RcptMacros{"error", "5.1.1", "u@x.test"}, false);
  EXPECT_FALSE(event.mta_refused);
  EXPECT_EQ(event.rewritten, "u@x.test");
}

TEST(MilterMacros, PostfixRoutesVirtualAliasesToError) {
  const RcptEvent event = rcpt_event(
      "<team@alias.test>", RcptMacros{"error", "5.1.1 User unknown in virtual alias table", "team@alias.test"}, true);
  EXPECT_FALSE(event.mta_refused);
  EXPECT_EQ(event.route, "local");
  EXPECT_EQ(event.rewritten, "team@alias.test");
}

TEST(MilterMacros, WithoutMacros) {
  const RcptEvent event = rcpt_event("u@x.test", std::nullopt, true);
  EXPECT_EQ(event.route, std::nullopt);
  EXPECT_EQ(event.recipient, "u@x.test");
}

}  // namespace
}  // namespace replygate

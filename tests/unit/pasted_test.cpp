#include "milter/cli/pasted.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

TEST(Pasted, OneLine) {
  const auto reply = take_apart("552 5.2.2 <bob@x> mailbox full").value();
  EXPECT_EQ(reply.code, 552);
  EXPECT_EQ(reply.enhanced, (EnhancedCode{5, 2, 2}));
  EXPECT_EQ(reply.text, "<bob@x> mailbox full");
  EXPECT_EQ(reply.host, "");
}

TEST(Pasted, SeveralLines) {
  const auto reply = take_apart("550-5.1.1 The account\r\n550-5.1.1 does not exist.\r\n550 5.1.1 Bye").value();
  EXPECT_EQ(reply.code, 550);
  EXPECT_EQ(reply.enhanced, (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(reply.text, "The account does not exist. Bye");
}

TEST(Pasted, PostfixBounce) {
  const auto reply = take_apart(
                         "<bob@example.org>: host mx.example.org[192.0.2.5] said: 452 4.2.2 Mailbox\n"
                         "    full, try again later (in reply to RCPT TO command)")
                         .value();
  EXPECT_EQ(reply.code, 452);
  EXPECT_EQ(reply.host, "mx.example.org");
  EXPECT_EQ(reply.text, "Mailbox full, try again later (in reply to RCPT TO command)");
}

TEST(Pasted, DeliveryReport) {
  const auto reply = take_apart(
                         "Final-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.7.1\n"
                         "Remote-MTA: dns; mx.example.org\nDiagnostic-Code: smtp; 571 5.7.1 Relaying denied")
                         .value();
  EXPECT_EQ(reply.code, 571);
  EXPECT_EQ(reply.host, "mx.example.org");
  EXPECT_EQ(reply.text, "Relaying denied");
}

TEST(Pasted, WithoutEnhancedCode) {
  const auto reply = take_apart("550 no such user").value();
  EXPECT_FALSE(reply.enhanced);
  EXPECT_EQ(reply.text, "no such user");
}

TEST(Pasted, NothingInIt) {
  for (const char* text : {"", "hello", "192.0.2.1 is not a reply", "12345 67"}) EXPECT_FALSE(take_apart(text)) << text;
}

}  // namespace
}  // namespace replygate

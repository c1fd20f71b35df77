#include "policy/remote/reply_reader.h"

#include <gtest/gtest.h>

#include "policy/remote/answered.h"

namespace replygate {
namespace {

TEST(ReplyReader, OneLine) {
  const auto status = read_status("552 5.2.2 <bob@x> mailbox full");
  EXPECT_EQ(status.code, 552);
  EXPECT_EQ(status.enhanced, (EnhancedCode{5, 2, 2}));
  EXPECT_EQ(status.text, "<bob@x> mailbox full");
  EXPECT_EQ(status.host, "");
}

TEST(ReplyReader, SeveralLines) {
  const auto status = read_status("550-5.1.1 The account\r\n550-5.1.1 does not exist.\r\n550 5.1.1 Bye");
  EXPECT_EQ(status.code, 550);
  EXPECT_EQ(status.enhanced, (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(status.text, "The account does not exist. Bye");
}

TEST(ReplyReader, LinesThatPostfixJoined) {
  const auto status = read_status(
      "host a.example[192.0.2.5] said: 550-5.7.1 First half 550 5.7.1 second half (in reply to MAIL FROM command)");
  EXPECT_EQ(status.text, "First half second half (in reply to MAIL FROM command)");
  EXPECT_EQ(status.at, Command::mail);
}

TEST(ReplyReader, PostfixBounce) {
  const auto status = read_status(
      "<bob@example.org>: host mx.example.org[192.0.2.5] said: 452 4.2.2 Mailbox\n"
      "    full, try again later (in reply to RCPT TO command)");
  EXPECT_EQ(status.code, 452);
  EXPECT_EQ(status.host, "mx.example.org");
  EXPECT_EQ(status.text, "Mailbox full, try again later (in reply to RCPT TO command)");
  EXPECT_EQ(status.at, Command::rcpt);
}

TEST(ReplyReader, DeliveryReport) {
  const auto status = read_status(
      "Final-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.7.1\n"
      "Remote-MTA: dns; mx.example.org\nDiagnostic-Code: smtp; 571 5.7.1 Relaying denied");
  EXPECT_EQ(status.code, 571);
  EXPECT_EQ(status.host, "mx.example.org");
  EXPECT_EQ(status.text, "Relaying denied");
}

TEST(ReplyReader, WithoutEnhancedCode) {
  const auto status = read_status("550 no such user");
  EXPECT_FALSE(status.enhanced);
  EXPECT_EQ(status.text, "no such user");
}

TEST(ReplyReader, NumbersInProseAreNoReplies) {
  for (const char* text :
       {"550 rooms are free", "room 550 is closed", "\"550 rooms\" said the manager", "450 users were waiting for it",
        "Nov 25: 550 mails were blocked today", "550 Fifth Avenue is not found on the map",
        "552 days without an accident", "550 5th Avenue", "Hotel: 450 guests, none unknown"}) {
    EXPECT_FALSE(read_status(text).code) << text;
  }
  for (const char* text : {"550 user unknown", "550 Mailbox Unknown", "450 messages from you are not accepted",
                           "550 users mailbox is full", "554 Street is no reason", "550 5.1.1 rooms"}) {
    EXPECT_TRUE(read_status(text).code) << text;
  }
}

struct Place {
  const char* text;
  int code;
  const char* enhanced;
};

class ReplyPlaces : public testing::TestWithParam<Place> {};

TEST_P(ReplyPlaces, IsRead) {
  const auto status = read_status(GetParam().text);
  EXPECT_EQ(status.code.value_or(0), GetParam().code) << GetParam().text;
  EXPECT_EQ(status.enhanced ? status.enhanced->text() : "", GetParam().enhanced) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Replies, ReplyPlaces,
    testing::Values(
        Place{"host m.example[192.0.2.7] said: 550\n    5.1.1 nobody of that name", 550, "5.1.1"},
        Place{"<<< 554 5.7.1 go elsewhere", 554, "5.7.1"}, Place{"smtp; 451 come back", 451, ""},
        Place{"Remote host said: 553 who is that (#5.1.1)", 553, "5.1.1"},
        Place{"554 [5.7.1] we do not like it", 554, "5.7.1"}, Place{"550 filter7 says 5.7.1 no", 550, "5.7.1"},
        Place{"Server returned '550 5.4.1 nobody'", 550, "5.4.1"}, Place{"RCPT TO:<a@b.example>:550 nobody", 550, ""},
        Place{"SMTP error 521 we take no mail", 521, ""}, Place{"220-mx.example 421 4.3.2 too busy", 421, "4.3.2"},
        Place{"Sorry, nobody of that name. (#5.1.1)", 0, "5.1.1"},
        Place{"550 5.5.2 and then\n503 5.5.1 need RCPT", 550, "5.5.2"},
        Place{"503 need RCPT\n550 5.1.1 nobody", 550, "5.1.1"},
        Place{"450 4.1.1 undeliverable: host m.example said: 550 5.1.1 nobody", 450, "4.1.1"},
        Place{"550-nobody\n550 here", 550, ""}));

INSTANTIATE_TEST_SUITE_P(
    NoReplies, ReplyPlaces,
    testing::Values(
        Place{"", 0, ""}, Place{"hello", 0, ""}, Place{"192.0.2.1 is not a reply", 0, ""}, Place{"12345 67", 0, ""},
        Place{"using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", 0, ""},
        Place{"id 550e8400-e29b-41d4-a716-446655440000", 0, ""}, Place{"lost connection with mail-550-7.x.test", 0, ""},
        Place{"call 555 123 4567 or 550-1234", 0, ""}, Place{"220 mx.example ESMTP", 0, ""},
        Place{"354 go ahead", 0, ""}, Place{"at 12:45:250 sharp", 0, ""}, Place{"route 2001:db8:550:: is down", 0, ""},
        Place{"Exim 4.96.2 on host", 0, ""}, Place{"size: 512 bytes", 0, ""}, Place{"it took 421.5 seconds", 0, ""},
        Place{"worth $450 and more", 0, ""}));

TEST(ReplyReader, ProseHasRepliesOnlyWhereItAnnouncesThem) {
  EXPECT_FALSE(find_reply("We sent mail to\n450 friends of yours", Lines::prose));
  EXPECT_EQ(find_reply("The response was:\n\n450 greylisted", Lines::prose).value().code, 450);
  EXPECT_EQ(find_reply("It answered\n450 4.7.1 later", Lines::prose).value().code, 450);
}

TEST(ReplyReader, WhatWasAnswered) {
  EXPECT_EQ(answered_command("SMTP error from remote mail server after RCPT TO:<a@b.example>: 550 x"), Command::rcpt);
  EXPECT_EQ(answered_command("SMTP error from remote mail server after end of data: 554 x"), Command::message);
  EXPECT_EQ(answered_command("host a.example[192.0.2.1] refused to talk to me: 554 x"), Command::connect);
  EXPECT_EQ(answered_command("nothing of that kind"), std::nullopt);
}

}  // namespace
}  // namespace replygate

#include "policy/remote/log_line.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

RemoteStatus attempt(std::string_view line) {
  LogStatus read = read_log_line(line);
  EXPECT_EQ(read.kind, LogLine::attempt) << line;
  return read.status;
}

TEST(LogLine, Postfix) {
  const auto status = attempt(
      "Nov 29 10:00:01 mail postfix/smtp[71]: 4abcd1234Zz: to=<ann@there.example>, orig_to=<a@here.example>, "
      "relay=mx.there.example[192.0.2.9]:25, conn_use=2, delay=1.2, delays=0.1/0/1/0.1, dsn=5.1.1, status=bounced "
      "(host mx.there.example[192.0.2.9] said: 550 5.1.1 nobody here (in reply to RCPT TO command))");
  EXPECT_EQ(status.recipient, "ann@there.example");
  EXPECT_EQ(status.host, "mx.there.example");
  EXPECT_EQ(status.id, "4abcd1234Zz");
  EXPECT_EQ(status.code, 550);
  EXPECT_EQ(status.enhanced, (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(status.told, Severity::permanent);
  EXPECT_EQ(status.at, Command::rcpt);
}

// dsn= and reply= may be those of another recipient of the message.
TEST(LogLine, SendmailsDeferredIsTransient) {
  const auto line = read_log_line(
      "Nov 29 10:00:00 mx sm-mta[71]: 5AT0aBcD012345: to=<a@b.example>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, "
      "pri=30000, relay=mx.b.example. [192.0.2.9], dsn=5.7.1, reply=554 5.7.1 left, stat=Deferred: Connection timed "
      "out "
      "with mx.b.example.");
  ASSERT_EQ(line.kind, LogLine::attempt);
  EXPECT_EQ(line.status.told, Severity::transient);
  EXPECT_FALSE(line.status.enhanced);
  EXPECT_FALSE(line.status.code);
}

TEST(LogLine, ASoftBounceIsTransient) {
  const auto status = attempt(
      "Nov 29 10:00:00 mx postfix/smtp[1]: 12F3CA01: to=<a@b.example>, relay=mx.b.example[192.0.2.1]:25, delay=1, "
      "delays=0/0/0/1, dsn=4.1.1, status=SOFTBOUNCE (host mx.b.example[192.0.2.1] said: 550 5.1.1 user unknown)");
  EXPECT_EQ(status.told, Severity::transient);
  EXPECT_EQ(status.code, 550);
}

TEST(LogLine, PostfixWithoutReply) {
  const auto status = attempt(
      "2026-11-29T10:00:01.123456+01:00 mail postfix/smtp[71]: 4abcd1234Zz: to=<ann@there.example>, relay=none, "
      "delay=30, "
      "delays=0/0/30/0, dsn=4.4.1, status=deferred (connect to mx.there.example[192.0.2.9]:25: Connection timed out)");
  EXPECT_FALSE(status.code);
  EXPECT_EQ(status.enhanced, (EnhancedCode{4, 4, 1}));
  EXPECT_EQ(status.told, Severity::transient);
  EXPECT_EQ(status.host, "mx.there.example");
}

TEST(LogLine, WhatTheServerWritesIsNoField) {
  const auto status = attempt(
      "Nov 29 10:00:01 mail postfix/smtp[71]: 4abcd1234Zz: to=<ann@there.example>, "
      "relay=mx.evil.example[192.0.2.9]:25, "
      "delay=1, delays=0/0/1/0, dsn=4.0.0, status=deferred (host mx.evil.example[192.0.2.9] said: 450 later, "
      "dsn=5.1.1, "
      "status=bounced (550 5.1.1 to=<bob@there.example>, user unknown))");
  EXPECT_EQ(status.code, 450);
  EXPECT_EQ(status.enhanced, (EnhancedCode{4, 0, 0}));
  EXPECT_EQ(status.told, Severity::transient);
  EXPECT_EQ(status.recipient, "ann@there.example");
}

TEST(LogLine, AddressesMayHoldAnything) {
  const auto status = attempt(
      "Nov 29 10:00:01 mail postfix/smtp[71]: 4abcd1234Zz: to=<\"a>, status=sent (b\"@there.example>, relay=none, "
      "delay=1, "
      "delays=0/0/1/0, dsn=5.4.4, status=bounced (Host or domain name not found)");
  EXPECT_EQ(status.recipient, "\"a>, status=sent (b\"@there.example");
  EXPECT_EQ(status.told, Severity::permanent);
}

TEST(LogLine, OwnRefusals) {
  const auto status = attempt(
      "Nov 29 10:00:01 mail postfix/smtpd[71]: NOQUEUE: milter-reject: RCPT from c.example[192.0.2.9]: 450 4.7.1 too "
      "much; "
      "from=<a@c.example> to=<ann@here.example> proto=ESMTP helo=<c.example>");
  EXPECT_TRUE(status.own);
  EXPECT_EQ(status.code, 450);
  EXPECT_EQ(status.recipient, "ann@here.example");
}

TEST(LogLine, Sendmail) {
  const auto status = attempt(
      "Nov 29 10:00:01 mail sm-mta[71]: 6APCiRGH021530: to=<ann@there.example>, delay=00:00:02, xdelay=00:00:01, "
      "mailer=esmtp, "
      "pri=90034, relay=mx.there.example. [192.0.2.9], dsn=5.1.1, reply=550 5.1.1 nobody of that name, stat=User "
      "unknown");
  EXPECT_EQ(status.host, "mx.there.example");
  EXPECT_EQ(status.code, 550);
  EXPECT_EQ(status.enhanced, (EnhancedCode{5, 1, 1}));
}

TEST(LogLine, SendmailsReplyOfThePreviousMessage) {
  const auto status = attempt(
      "Nov 29 10:00:01 mail sm-mta[71]: 6APCiRGH021530: to=<ann@there.example>, delay=00:00:02, xdelay=00:00:01, "
      "mailer=esmtp, "
      "pri=90034, relay=mx.there.example. [192.0.2.9], dsn=4.0.0, reply=550 5.1.1 nobody of that name, stat=Deferred: "
      "Connection reset");
  EXPECT_FALSE(status.code);
  EXPECT_EQ(status.enhanced, (EnhancedCode{4, 0, 0}));
  EXPECT_EQ(status.told, Severity::transient);
}

TEST(LogLine, Exim) {
  const auto failed = attempt(
      "2026-11-29 10:00:01 1abcDE-000001-AB ** ann@there.example R=dnslookup T=remote_smtp H=mx.there.example "
      "[192.0.2.9] "
      "X=TLS1.3:TLS_AES_256_GCM_SHA384:256: SMTP error from remote mail server after RCPT TO:<ann@there.example>: 550 "
      "5.1.1 nobody");
  EXPECT_EQ(failed.recipient, "ann@there.example");
  EXPECT_EQ(failed.host, "mx.there.example");
  EXPECT_EQ(failed.code, 550);
  const auto deferred = attempt(
      "2026-11-29 10:00:01 [99] 1abcDE-000001-AB == ann@there.example R=dnslookup T=remote_smtp defer (110): "
      "Connection timed out");
  EXPECT_FALSE(deferred.code);
  EXPECT_EQ(deferred.told, Severity::transient);
}

TEST(LogLine, Success) {
  EXPECT_EQ(
      attempt("Nov 29 10:00:01 mail postfix/smtp[71]: 4abcd1234Zz: to=<a@b.example>, relay=mx.b.example[192.0.2.9]:25, "
              "delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 550)")
          .told,
      Severity::success);
}

TEST(LogLine, OtherLines) {
  for (const char* line : {"Nov 29 10:00:01 mail postfix/qmgr[71]: 4abcd1234Zz: removed",
                           "Nov 29 10:00:01 mail postfix/smtpd[71]: connect from c.example[192.0.2.9]",
                           "2026-11-29 10:00:01 1abcDE-000001-AB Completed",
                           "Nov 29 10:00:01 mail sm-mta[71]: 6APCiRGH021530: from=<a@b.example>, size=34, class=0"}) {
    EXPECT_EQ(read_log_line(line).kind, LogLine::other) << line;
  }
  for (const char* line : {"550 5.1.1 nobody", "", "hello: world"})
    EXPECT_EQ(read_log_line(line).kind, LogLine::none) << line;
}

TEST(LogLines, OtherProgramsSayNothingOfDeliveries) {
  for (const char* line : {"Nov 29 10:00:01 mx dovecot: imap-login: Login: user=<bob>, method=PLAIN",
                           "Nov 29 10:00:01 full kernel: Linux version 5.1.1 (gcc)",
                           "2026-11-29T10:00:01.123+01:00 mx spamfilter: started"}) {
    EXPECT_EQ(read_log_line(line).kind, LogLine::other) << line;
  }
}

}  // namespace
}  // namespace replygate

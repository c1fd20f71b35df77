// What became of the mail of a log that is over.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "milter/outcome/past_records.h"
#include "milter/outcome/replay_report.h"
#include "policy/scenario/replayer.h"
#include "policy/scenario/scenario.h"
#include "tests/support/folder.h"
#include "tests/support/thief_policy.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using Texts = std::vector<std::string>;

class OutcomesOfLogs : public testing::Test {
 protected:
  void line(std::string_view daemon, const std::string& text) {
    log_ +=
        fmt::format("2026-11-30T14:{:02}:{:02}Z mx postfix/{}[7]: {}\n", seconds_ / 60, seconds_ % 60, daemon, text);
    ++seconds_;
  }
  void mail(const std::string& id, int recipients) {
    line("smtpd", id + ": client=pc[192.0.2.7], sasl_method=PLAIN, sasl_username=carol");
    line("qmgr", fmt::format("{}: from=<carol@here.example>, size=9, nrcpt={} (queue active)", id, recipients));
  }
  void attempt(const std::string& id, const std::string& to, const std::string& rest,
               const std::string& original = "") {
    line("smtp", fmt::format("{}: to=<{}>, {}relay=mx.far.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, {}", id, to,
                             original.empty() ? "" : "orig_to=<" + original + ">, ", rest));
  }
  PastFigures read(bool wanted = true) {
    folder_.write("mail.log", log_);
    PastTaker taker{.transaction = [&](PastTransaction t) { mails_.push_back(std::move(t)); }};
    if (wanted) taker.outcome = [&](PastOutcome o) { outcomes_.push_back(std::move(o)); };
    const auto figures = read_past({"", {folder_.file("mail.log")}}, taker, {});
    EXPECT_TRUE(figures);
    return figures.value_or(PastFigures());
  }
  Texts told() const {
    Texts texts;
    for (const PastOutcome& o : outcomes_) {
      texts.push_back(fmt::format("{} {}{} {}", o.mail.substr(0, o.mail.find(' ')), o.recipient,
                                  o.became.empty() ? "" : " as " + o.became, to_string(o.kind)));
    }
    return texts;
  }

  const std::string kSent = "dsn=2.0.0, status=sent (250 2.0.0 Ok)";
  const std::string kFull =
      "dsn=4.2.2, status=deferred (host mx.far.example[192.0.2.9] said: 452 4.2.2 mailbox full (in reply to RCPT TO "
      "command))";
  const std::string kNobody =
      "dsn=5.1.1, status=bounced (host mx.far.example[192.0.2.9] said: 550 5.1.1 no such user (in reply to RCPT TO "
      "command))";
  test::Folder folder_;
  std::string log_;
  int seconds_ = 0;
  std::vector<PastTransaction> mails_;
  std::vector<PastOutcome> outcomes_;
};

TEST_F(OutcomesOfLogs, EachRecipientHasOneEnd) {
  mail("AAAA11111", 2);
  attempt("AAAA11111", "a@far.example", kFull);
  attempt("AAAA11111", "b@far.example", kNobody);
  attempt("AAAA11111", "a@far.example", kFull);
  attempt("AAAA11111", "a@far.example", kSent);
  attempt("AAAA11111", "a@far.example", kNobody);
  attempt("BBBB22222", "z@far.example", kNobody);  // of mail from before the log
  const PastFigures figures = read();
  EXPECT_EQ(told(), (Texts{"AAAA11111 a@far.example deferred", "AAAA11111 b@far.example hard_bounce",
                           "AAAA11111 a@far.example delivered"}));
  EXPECT_EQ(figures.outcomes, 3);
  ASSERT_EQ(mails_.size(), 1U);
  EXPECT_EQ(outcomes_[0].mail, name_of(mails_[0]));
  EXPECT_EQ(outcomes_[0].counted, *parse_time("2026-11-30T14:00:02Z"));
}

TEST_F(OutcomesOfLogs, WhoIsGivenUpHasFailed) {
  mail("AAAA11111", 2);
  attempt("AAAA11111", "a@far.example", kFull);
  attempt("AAAA11111", "b@far.example", kSent);
  line("qmgr", "AAAA11111: from=<carol@here.example>, status=expired, returned to sender");
  read();
  EXPECT_EQ(told(), (Texts{"AAAA11111 a@far.example deferred", "AAAA11111 b@far.example delivered",
                           "AAAA11111 a@far.example failed"}));
}

TEST_F(OutcomesOfLogs, WhatIsDeletedByHandHasFailed) {
  for (const char* id : {"AAAA11111", "BBBB22222"}) {
    mail(id, 2);
    attempt(id, "a@far.example", kFull);
    attempt(id, "b@far.example", kSent);
  }
  line("postsuper", "AAAA11111: removed");
  line("qmgr", "BBBB22222: removed");
  read();
  EXPECT_EQ(told(), (Texts{"AAAA11111 a@far.example deferred", "AAAA11111 b@far.example delivered",
                           "BBBB22222 a@far.example deferred", "BBBB22222 b@far.example delivered",
                           "AAAA11111 a@far.example failed"}));
}

TEST_F(OutcomesOfLogs, ACopyThatIsGivenUpEndsWhatWasDeferredWithIt) {
  mail("AAAA11111", 2);
  line("smtpd", "BBBB22222: client=localhost[127.0.0.1]");
  line("qmgr", "BBBB22222: from=<carol@here.example>, size=9, nrcpt=1 (queue active)");
  line("smtp",
       "AAAA11111: to=<a@far.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, "
       "status=sent (250 2.0.0 Ok: queued as BBBB22222)");
  attempt("AAAA11111", "b@far.example", kFull);
  attempt("BBBB22222", "a@far.example", kFull);
  line("qmgr", "BBBB22222: from=<carol@here.example>, status=expired, returned to sender");
  line("qmgr", "BBBB22222: removed");
  attempt("AAAA11111", "b@far.example", kSent);
  read();
  EXPECT_EQ(told(), (Texts{"AAAA11111 b@far.example deferred", "AAAA11111 a@far.example deferred",
                           "AAAA11111 a@far.example failed", "AAAA11111 b@far.example delivered"}));
}

TEST_F(OutcomesOfLogs, FollowAliasesAndFilters) {
  mail("AAAA11111", 1);
  line("smtpd", "BBBB22222: client=localhost[127.0.0.1]");
  line("qmgr", "BBBB22222: from=<carol@here.example>, size=9, nrcpt=2 (queue active)");
  line("smtp",
       "AAAA11111: to=<team@here.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, "
       "status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBB22222)");
  attempt("BBBB22222", "x@far.example", kNobody, "team@here.example");
  attempt("BBBB22222", "y@far.example", kSent, "team@here.example");
  read();
  EXPECT_EQ(told(), (Texts{"AAAA11111 team@here.example as x@far.example hard_bounce",
                           "AAAA11111 team@here.example as y@far.example delivered"}));
}

TEST_F(OutcomesOfLogs, SendmailTellsThemToo) {
  const auto sendmail = [&](const std::string& rest) {
    log_ += "2026-11-30T14:00:01Z mx sm-mta[71]: 6APCiRGH021530: " + rest + "\n";
  };
  sendmail("from=<carol@here.example>, size=34, class=0, nrcpts=2, proto=ESMTP, daemon=MTA, relay=pc [192.0.2.7]");
  sendmail(
      "to=<a@far.example>,<b@far.example>, delay=00:00:02, mailer=esmtp, relay=mx.far.example. [192.0.2.9], dsn=4.2.2, "
      "stat=Deferred: 452 4.2.2 mailbox full");
  sendmail(
      "to=<a@far.example>, delay=00:00:09, mailer=esmtp, relay=mx.far.example. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)");
  sendmail(
      "to=<b@far.example>, delay=00:00:09, mailer=esmtp, relay=mx.far.example. [192.0.2.9], dsn=5.1.1, "
      "stat=User unknown");
  read();
  EXPECT_EQ(told(), (Texts{"6APCiRGH021530 a@far.example deferred", "6APCiRGH021530 b@far.example deferred",
                           "6APCiRGH021530 a@far.example delivered", "6APCiRGH021530 b@far.example hard_bounce"}));
}

TEST_F(OutcomesOfLogs, EximTellsThemToo) {
  const auto exim = [&](const std::string& rest) { log_ += "2026-11-30 14:00:01 1abcDE-000001-AB " + rest + "\n"; };
  exim("<= carol@here.example H=pc [192.0.2.7]:41 P=esmtpsa A=plain:carol S=1234 for a@far.example b@far.example");
  exim("=> a@far.example R=dns T=smtp H=mx.far.example [192.0.2.9] C=\"250 ok\"");
  exim(
      "** b@far.example R=dns T=smtp H=mx.far.example [192.0.2.9]: SMTP error from remote mail server after RCPT "
      "TO:<b@far.example>: 550 5.1.1 no such user");
  exim("Completed");
  read();
  EXPECT_EQ(told(), (Texts{"1abcDE-000001-AB a@far.example delivered", "1abcDE-000001-AB b@far.example hard_bounce"}));
}

TEST_F(OutcomesOfLogs, SendmailGivesUpToo) {
  const auto sendmail = [&](const std::string& rest) {
    log_ += "2026-11-30T14:00:01Z mx sm-mta[71]: 6APCiRGH021530: " + rest + "\n";
  };
  const auto deferred = [&](const std::string& to, const std::string& said) {
    sendmail(
        fmt::format("to=<{}>, delay=00:00:02, mailer=esmtp, relay=mx.far.example. [192.0.2.9], dsn=4.0.0, reply={}, "
                    "stat=Deferred: {}",
                    to, said, said));
  };
  sendmail("from=<carol@here.example>, size=34, class=0, nrcpts=3, proto=ESMTP, daemon=MTA, relay=pc [192.0.2.7]");
  deferred("a@far.example", "452 4.2.2 mailbox full");
  deferred("b@far.example", "450 4.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org");
  sendmail("6AUD95DB000047: sender notify: Warning: could not send message for past 4 hours");
  sendmail("to=<c@far.example>, mailer=esmtp, relay=mx.far.example. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)");
  sendmail("6AUD95DB000048: sender notify: Cannot send message for 5 days");
  read();
  EXPECT_EQ(told(), (Texts{"6APCiRGH021530 a@far.example deferred", "6APCiRGH021530 b@far.example deferred",
                           "6APCiRGH021530 c@far.example delivered", "6APCiRGH021530 a@far.example failed",
                           "6APCiRGH021530 b@far.example blocked"}));
}

// Of what is cancelled Exim says nothing for each recipient.
TEST_F(OutcomesOfLogs, EximGivesUpToo) {
  const auto exim = [&](const char* id, const std::string& rest) {
    log_ += fmt::format("2026-11-30 14:00:01 1abcDE-00000{}-AB {}\n", id, rest);
  };
  const auto deferred = [&](const char* id, const std::string& to, const std::string& said) {
    exim(id,
         fmt::format("== {} R=dns T=smtp defer (-44) H=mx.far.example [192.0.2.9]: SMTP error from remote mail server "
                     "after RCPT TO:<{}>: {}",
                     to, to, said));
  };
  const std::string blocked = "450 4.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org";
  for (const char* id : {"1", "2"}) {
    exim(id, "<= carol@here.example H=pc [192.0.2.7]:41 P=esmtpsa A=plain:carol S=1234");
    deferred(id, "a@far.example", "452 4.2.2 mailbox full");
    deferred(id, "b@far.example", blocked);
  }
  exim("1", "** b@far.example: retry timeout exceeded");
  exim("1", "** a@far.example: retry timeout exceeded");
  exim("1", "Completed");
  exim("2", "=> b@far.example R=dns T=smtp H=mx.far.example [192.0.2.9] C=\"250 ok\"");
  exim("2", "cancelled by timeout_frozen_after");
  exim("2", "Completed");
  read();
  EXPECT_EQ(told(), (Texts{"1abcDE-000001-AB a@far.example deferred", "1abcDE-000001-AB b@far.example deferred",
                           "1abcDE-000002-AB a@far.example deferred", "1abcDE-000002-AB b@far.example deferred",
                           "1abcDE-000001-AB b@far.example blocked", "1abcDE-000001-AB a@far.example failed",
                           "1abcDE-000002-AB b@far.example delivered", "1abcDE-000002-AB a@far.example failed"}));
}

TEST_F(OutcomesOfLogs, NobodyIsToldOfWhatNobodyWants) {
  mail("AAAA11111", 1);
  attempt("AAAA11111", "a@far.example", kNobody);
  EXPECT_EQ(read(false).outcomes, 0);
  EXPECT_EQ(mails_.size(), 1U);
}

// The log tells of a message only once its recipients are known: after the attempts.
TEST_F(OutcomesOfLogs, StopAThief) {
  for (int i = 0; i < 10; ++i) {
    const std::string id = fmt::format("AAAA{:05}", i);
    mail(id, 1);
    attempt(id, fmt::format("r{}@far.example", i), i % 2 == 0 ? kNobody : kSent);
    line("qmgr", id + ": removed");
    seconds_ += 10;
  }
  folder_.write("mail.log", log_);
  const auto policy = test::policy_from(test::kThiefPolicy);
  ReplayReport report(Instant::min());
  const PastSource source{"", {folder_.file("mail.log")}};
  Replayer replayer(policy, ignorance_of(source, true).beyond, {}, report);
  const auto figures = read_past(source,
                                 {.transaction = [&](PastTransaction t) { replayer.play(std::move(t)); },
                                  .outcome = [&](PastOutcome o) { replayer.play(std::move(o)); }},
                                 {});
  ASSERT_TRUE(figures) << figures.error();
  replayer.finish();
  EXPECT_EQ(report.recipients, 10);
  EXPECT_EQ(report.refused.recipients, 6);  // of the first four two are dead
  EXPECT_EQ(report.refused.rules.at("thief").keys.at("carol@here.example").first.recipient, "r4@far.example");
}

}  // namespace
}  // namespace replygate

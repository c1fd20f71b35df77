// What became of the mail, played again: from a history, and from a log. tests/oracle has random ones.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

#include "milter/bounce/status_files.h"
#include "milter/log/history.h"
#include "milter/log/history_scan.h"
#include "milter/outcome/outcome_record.h"
#include "milter/outcome/past_records.h"
#include "milter/outcome/replay_report.h"
#include "policy/scenario/replayer.h"
#include "policy/scenario/scenario.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using Texts = std::vector<std::string>;

constexpr const char* kShare = R"(
[site]
local_domains = ["here.example"]
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "thief"
per = "sender"
limit = "50% hard_bounces / 1h"
at_least = "4 recipients"
reply = 450
)";
constexpr const char* kDead =
    "[site]\nlocal_domains = [\"here.example\"]\n[outcomes]\nlog = \"journal\"\ndead_after = 2\ndead_for = \"2d\"\n"
    "[[rule]]\nname = \"dead\"\nwhen = { recipient_dead = true }\nreply = \"unknown-user\"\n";

// Mail of the past, as a replayer is told of it; each message is a minute later than the one before.
class ReplayedMail : public testing::Test, public Replayer::Listener {
 protected:
  void begin(std::string_view text) {
    policy = test::policy_from(text);
    replayer = std::make_unique<Replayer>(policy, 0, Texts(), *this);
  }
  void replayed(const Replayed& r) override { codes.push_back(r.now.code); }

  std::string send(const Texts& recipients, const std::string& sender = "s@here.example") {
    now += minutes(1);
    PastTransaction t;
    t.time = t.begun = now;
    t.ref = t.session = fmt::format("T{}", ++count);
    t.number = next++;
    t.client_ip = "192.0.2.1";
    t.sender = sender;
    t.queue_id = "Q" + t.ref;
    for (const std::string& address : recipients) {
      PastRecipient& r = t.recipients.emplace_back();
      r.address = address;
      r.number = next++;
      r.time = now;
    }
    std::string name = t.ref;
    replayer->play(std::move(t));
    return name;
  }
  PastOutcome outcome(const std::string& mail, const std::string& recipient, OutcomeKind kind) {
    now += minutes(1);
    return {.time = now, .counted = now, .number = next++, .mail = mail, .recipient = recipient, .kind = kind};
  }
  void bounce(const std::string& mail, const std::string& recipient) {
    replayer->play(outcome(mail, recipient, OutcomeKind::hard_bounce));
  }
  std::vector<int> said() {
    replayer->finish();
    return std::exchange(codes, {});
  }

  std::shared_ptr<const Policy> policy;
  std::unique_ptr<Replayer> replayer;
  Instant now{hours(490000)};
  int count = 0;
  std::uint64_t next = 1;
  std::vector<int> codes;
};

TEST_F(ReplayedMail, OutcomesCountAtTheirTime) {
  begin(kShare);
  const std::string mail = send({"a@far.example", "b@far.example", "c@far.example", "d@far.example"});
  bounce(mail, "a@far.example");
  send({"e@far.example"});
  bounce(mail, "B@far.example");
  bounce(mail, "c@far.example");
  send({"f@far.example"});
  now += hours(2);
  send({"g@far.example"});
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 0, 0, 450, 0}));
}

// A number says which was first within one time.
TEST_F(ReplayedMail, AtOneTimeTheirNumbersTell) {
  for (const bool before : {true, false}) {
    begin(kShare);
    const std::string mail = send({"a@far.example", "b@far.example", "c@far.example", "d@far.example"});
    bounce(mail, "a@far.example");
    PastOutcome second = outcome(mail, "b@far.example", OutcomeKind::hard_bounce);
    send({"e@far.example"});
    second.counted = now;
    if (!before) second.number = next++;
    replayer->play(second);
    EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 0, before ? 450 : 0})) << before;
  }
}

TEST_F(ReplayedMail, WhatIsRefusedNowHasNoOutcomes) {
  begin(std::string(kShare) + "[[rule]]\nname = \"few\"\nwhen = { recipients = \"> 4\" }\nreply = 452\n");
  const std::string mail = send({"a@far.example", "b@far.example", "c@far.example", "d@far.example", "e@far.example"});
  bounce(mail, "e@far.example");
  bounce(mail, "a@far.example");
  send({"f@far.example"});
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 0, 452, 0}));
}

TEST_F(ReplayedMail, WhatNobodyMeantDoesNotCount) {
  begin(kShare);
  const std::string mail = send({"a@far.example", "b@far.example", "c@far.example", "d@far.example"});
  for (const char* became : {"x@far.example", "y@far.example", "z@far.example"}) {
    PastOutcome made = outcome(mail, "a@far.example", OutcomeKind::hard_bounce);
    made.became = became;
    replayer->play(made);
  }
  bounce(mail, "archive@far.example");  // that the mail server has added
  bounce("T99", "a@far.example");       // of mail that is not known
  send({"e@far.example"});
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 0, 0}));
}

TEST_F(ReplayedMail, TheLogTellsWhoIsDead) {
  begin(kDead);
  const std::string mail = send({"a@far.example", "b@here.example", "c@far.example", "d@far.example"});
  for (int i = 0; i < 2; ++i) {
    bounce(mail, "a@far.example");
    bounce(mail, "b@here.example");  // one of ours
    PastOutcome report = outcome(mail, "c@far.example", OutcomeKind::hard_bounce);
    report.reported = true;
    replayer->play(report);
  }
  bounce(mail, "d@far.example");  // once is not enough
  const Texts all = {"a@far.example", "b@here.example", "c@far.example", "d@far.example"};
  send(all);
  replayer->play(outcome(mail, "a@far.example", OutcomeKind::delivered));
  send(all);
  bounce(mail, "d@far.example");
  send(all);
  now += hours(49);
  send(all);
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 0, 550, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 550, 0, 0, 0, 0}));
}

// It was asked then, and may have been told that the address lives.
TEST_F(ReplayedMail, TheRecordOfTheSamePolicyTellsWhoWasDead) {
  begin(kDead);
  const std::string mail = send({"a@far.example"});
  bounce(mail, "a@far.example");
  bounce(mail, "a@far.example");
  PastTransaction t;
  now += minutes(1);
  t.time = t.begun = now;
  t.ref = t.session = "own";
  t.number = next++;
  t.policy = policy->id();
  t.recipients.resize(2);
  t.recipients[0].address = "a@far.example";
  t.recipients[1].address = "b@far.example";
  t.recipients[1].dead = true;
  for (PastRecipient& r : t.recipients) r.time = now;
  replayer->play(t);
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 550}));
}

TEST_F(ReplayedMail, ItsKeysAreForgottenAsTheDaemonForgetsThem) {
  begin(std::string(kShare).replace(std::string(kShare).find("log ="), 0, "keep = \"1h\"\n"));
  const std::string mail = send({"a@far.example", "b@far.example", "c@far.example", "d@far.example"});
  now += hours(2);
  send({"a@far.example", "b@far.example", "c@far.example", "d@far.example"});
  for (const char* to : {"a@far.example", "b@far.example", "c@far.example", "d@far.example"}) bounce(mail, to);
  send({"e@far.example"});
  EXPECT_EQ(said(), std::vector<int>(9, 0));
}

TEST(PastOutcomes, ComeFromTheirRecord) {
  const auto book = open_status_book("");
  ASSERT_TRUE(book) << book.error();
  References references(7);
  MailOutcome o;
  o.time = *parse_time("2026-11-30T14:02:00Z");
  o.counted = *parse_time("2026-11-30T14:02:01.5Z");
  o.counted_ref = references.next();
  o.kind = OutcomeKind::complaint;
  o.source = MailOutcome::Source::report;
  o.sending.ref = "7Q2KMX4D11";
  o.recipient = "team@here.example";
  o.became = "bob@far.example";
  o.explained = (*book)->explain(o.status);
  const auto past = past_outcome_of_record(outcome_line(o));
  ASSERT_TRUE(past);
  EXPECT_EQ(past->time, o.time);
  EXPECT_EQ(past->counted, o.counted);
  EXPECT_EQ(past->number, 7U);
  EXPECT_EQ(past->mail, "7Q2KMX4D11");
  EXPECT_EQ(past->recipient, "team@here.example");
  EXPECT_EQ(past->became, "bob@far.example");
  EXPECT_EQ(past->kind, OutcomeKind::complaint);
  EXPECT_TRUE(past->reported);
  for (const char* other : {"", "{}", R"({"time":"2026-11-30T14:02:00Z","event":"outcome"})",
                            R"({"time":"never","event":"outcome","recipients":[{"outcome":"delivered"}]})",
                            R"({"time":"2026-11-30T14:02:00Z","event":"outcome","recipients":[{"outcome":"lost"}]})",
                            R"({"time":"2026-11-30T14:02:00Z","event":"outcome","recipients":[7]})"}) {
    EXPECT_FALSE(past_outcome_of_record(other)) << other;
  }
}

TEST(PastOutcomes, AHistoryHasThemOrNot) {
  const test::Folder folder;
  const auto made = [&](const char* name, const Texts& lines) {
    Troubles troubles;
    auto history = History::open(folder.file(name), HistorySettings{}, troubles);
    const std::array<std::string_view, 1> words = {"word"};
    for (const std::string& line : lines) (*history)->keep(Instant(hours(490000)), words, line + "\n");
    (*history)->close();
    return PastSource{folder.file(name), {}};
  };
  const std::string outcome = R"({"time":"2026-11-30T14:02:00Z","event":"outcome"})";
  const std::string decision = R"({"time":"2026-11-30T14:02:00Z","door":"milter"})";
  const auto without = tells_outcomes(made("without", {decision, decision}));
  const auto with = tells_outcomes(made("with", {decision, outcome, decision}));
  ASSERT_TRUE(with && without);
  EXPECT_TRUE(*with);
  EXPECT_FALSE(*without);
  EXPECT_TRUE(*tells_outcomes({"", {"mail.log"}}));
  EXPECT_FALSE(tells_outcomes({folder.file("none"), {}}));
}

TEST(PastOutcomes, RulesThatNeedThemAreNamedWhereThereAreNone) {
  const auto policy =
      test::policy_from(std::string(kShare) +
                        "[[rule]]\nname = \"spam\"\nper = \"sender\"\nlimit = \"2 complaints / 1d\"\nreply = 450\n"
                        "[[rule]]\nname = \"dead\"\nwhen = { recipient_dead = true }\nreply = 550\n");
  const auto why_of = [&](const PastSource& source, bool outcomes) {
    const Ignorance i = ignorance_of(source, outcomes);
    Texts whys;
    for (const Unjudged& u : unjudged_rules(*policy, i.beyond, i.units, i.source)) {
      whys.push_back(u.rule->name + ": " + u.why);
    }
    return whys;
  };
  EXPECT_EQ(why_of({"history", {}}, true), Texts());
  EXPECT_EQ(why_of({"history", {}}, false),
            (Texts{"thief: a history without outcomes does not tell the number of hard_bounces",
                   "spam: a history without outcomes does not tell the number of complaints",
                   "dead: a history without outcomes does not tell recipient_dead"}));
  EXPECT_EQ(why_of({"", {"log"}}, true), (Texts{"spam: a mail log does not tell the number of complaints"}));
}

// A log of Postfix, and what is told of it.
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
  const auto policy = test::policy_from(kShare);
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

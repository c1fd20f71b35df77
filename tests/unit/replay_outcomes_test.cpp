// What became of the mail, played again. tests/oracle has random histories.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

#include "milter/bounce/status_files.h"
#include "milter/log/history.h"
#include "milter/log/history_scan.h"
#include "milter/outcome/outcome_record.h"
#include "milter/outcome/past_records.h"
#include "policy/scenario/replayer.h"
#include "policy/scenario/scenario.h"
#include "tests/support/folder.h"
#include "tests/support/thief_policy.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using Texts = std::vector<std::string>;

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
  begin(test::kThiefPolicy);
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
    begin(test::kThiefPolicy);
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
  begin(std::string(test::kThiefPolicy) + "[[rule]]\nname = \"few\"\nwhen = { recipients = \"> 4\" }\nreply = 452\n");
  const std::string mail = send({"a@far.example", "b@far.example", "c@far.example", "d@far.example", "e@far.example"});
  bounce(mail, "e@far.example");
  bounce(mail, "a@far.example");
  send({"f@far.example"});
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 0, 452, 0}));
}

TEST_F(ReplayedMail, WhatNobodyMeantDoesNotCount) {
  begin(test::kThiefPolicy);
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

constexpr const char* kComplaints = R"(
[site]
local_domains = ["here.example"]
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "spam"
per = "sender"
limit = "2 complaints / 1h"
reply = 450
[[rule]]
name = "each"
per = "recipient"
limit = "1 complaints / 1h"
reply = 451
[[rule]]
name = "away"
when = { recipient = "away@far.example" }
reply = 550
)";

// Of those that are let through now: what they have in common, or the only one.
TEST_F(ReplayedMail, WhoComplainsMayBeHidden) {
  begin(kComplaints);
  const std::string two = send({"a@far.example", "b@far.example"});
  replayer->play(outcome(two, "", OutcomeKind::complaint));
  const std::string one = send({"a@far.example", "away@far.example"});
  send({"b@far.example"});
  replayer->play(outcome(one, "a@far.example", OutcomeKind::complaint));
  replayer->play(outcome(one, "", OutcomeKind::complaint));
  send({"b@far.example"});
  send({"a@far.example"}, "t@here.example");
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 0, 550, 0, 450, 451}));
}

TEST_F(ReplayedMail, WhoDidNotGetItDoesNotComplain) {
  begin(std::string(kComplaints).replace(std::string(kComplaints).find("2 complaints"), 1, "1"));
  const std::string mail = send({"a@far.example", "b@far.example", "away@far.example"});
  bounce(mail, "a@far.example");
  bounce(mail, "b@far.example");
  replayer->play(outcome(mail, "", OutcomeKind::complaint));
  send({"c@far.example"});
  EXPECT_EQ(said(), (std::vector<int>{0, 0, 550, 0}));
}

// Of mail from before the history, too, nobody is called dead who is one of ours.
TEST_F(ReplayedMail, OnlyStrangersAreCalledDead) {
  begin(kDead);
  for (int i = 0; i < 2; ++i) {
    bounce("T99", "b@here.example");
    bounce("T99", "c@far.example");
  }
  send({"b@here.example", "c@far.example"});
  EXPECT_EQ(said(), (std::vector<int>{0, 550}));
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
  begin(std::string(test::kThiefPolicy).replace(std::string(test::kThiefPolicy).find("log ="), 0, "keep = \"1h\"\n"));
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
      test::policy_from(std::string(test::kThiefPolicy) +
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

}  // namespace
}  // namespace replygate

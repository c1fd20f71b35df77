#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "milter/bounce/status_files.h"
#include "milter/cli/outcome_text.h"
#include "milter/outcome/day_report.h"
#include "milter/outcome/outcome_record.h"
#include "milter/outcome/past_records.h"
#include "milter/serve/outcome_statistics.h"
#include "milter/serve/outcome_watch.h"
#include "milter/serve/past_decisions.h"
#include "milter/serve/tail.h"
#include "policy/scenario/scenario.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

namespace json = boost::json;

using Event = NotifySettings::Event;
using test::Folder;
using test::Talk;
using test::World;

// Outcomes as the reader tells them.
class OutcomesSeen : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_status_book("");
    ASSERT_TRUE(opened) << opened.error();
    book = *std::move(opened);
  }

  MailOutcome& made(OutcomeKind kind, const std::string& recipient, const std::string& text, int code = 0) {
    MailOutcome& o = *all.emplace_back(std::make_unique<MailOutcome>());
    o.time = now;
    o.kind = kind;
    o.sending.queue_id = "A1C2A3B4D0";
    o.sending.ref = "7Q2KMX4D";
    o.sending.sender = "alice@here.example";
    o.sending.user = "alice";
    o.sending.client_ip = "192.0.2.1";
    o.recipient = recipient;
    o.status.recipient = recipient;
    o.status.text = text;
    o.status.host = "mx.far.example";
    if (code != 0) o.status.code = code;
    o.status.told = kind == OutcomeKind::delivered  ? Severity::success
                    : kind == OutcomeKind::deferred ? Severity::transient
                                                    : Severity::permanent;
    o.explained = book->explain(o.status);
    return o;
  }
  MailOutcome& dead(const std::string& recipient) {
    return made(OutcomeKind::hard_bounce, recipient, "5.1.1 user unknown", 550);
  }
  MailOutcome& listed(const std::string& recipient) {
    return made(OutcomeKind::blocked, recipient, "Service unavailable; client host blocked using zen.spamhaus.org",
                554);
  }
  MailOutcome& sent(const std::string& recipient) { return made(OutcomeKind::delivered, recipient, "ok", 250); }

  std::unique_ptr<StatusBook> book;
  std::vector<std::unique_ptr<MailOutcome>> all;
  Instant now = *parse_time("2026-11-30T14:02:00Z");
};

TEST_F(OutcomesSeen, ARecordSaysWhoSaidWhatAndWhatToDo) {
  const json::object record = json::parse(outcome_line(dead("bob@far.example"))).as_object();
  EXPECT_EQ(record.at("event"), "outcome");
  EXPECT_EQ(record.at("queue_id"), "A1C2A3B4D0");
  const json::object& recipient = record.at("recipients").as_array().front().as_object();
  EXPECT_EQ(recipient.at("outcome"), "hard_bounce");
  const json::object& status = recipient.at("status").as_object();
  EXPECT_EQ(status.at("reason"), "user_unknown");
  EXPECT_EQ(status.at("dead"), true);
  EXPECT_FALSE(status.at("do").as_array().empty());
  EXPECT_FALSE(status.contains("retry_after_s"));
  EXPECT_EQ(outcome_text(recipient),
            "bounced, the address is dead (user_unknown) by mx.far.example: 550 5.1.1 user unknown");
}

// A mail of alice's to bob and carol, as the history has it.
class OutcomesKept : public OutcomesSeen {
 protected:
  void SetUp() override {
    OutcomesSeen::SetUp();
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.helo();
    talk.mail("<alice@here.example>", "alice");
    talk.rcpt("<bob@far.example>");
    talk.rcpt("<carol@far.example>");
    talk.data();
    talk.end_of_headers();
    talk.end();
    decision = json::parse(world.records.json.back()).as_object();
    decision["queue_id"] = "A1C2A3B4D0";
    const std::string line = json::serialize(decision) + "\n";
    const json::array& recipients = decision.at("recipients").as_array();
    refs = {std::string(recipients[0].at("ref").as_string()), std::string(recipients[1].at("ref").as_string())};
    ref = std::string(decision.at("ref").as_string());
    auto opened = History::open(folder.file("history"), HistorySettings{}, troubles);
    ASSERT_TRUE(opened) << opened.error();
    history = *std::move(opened);
    const std::array<std::string_view, 5> words = {ref, "A1C2A3B4D0", "alice", "bob@far.example", "carol@far.example"};
    history->keep(*parse_time(std::string_view(decision.at("time").as_string())), words, line);
  }

  void keep(MailOutcome& o, const std::string& of_recipient) {
    o.sending.ref = ref;
    o.ref = of_recipient;
    OutcomeChronicle(history.get(), tail).hear(o);
    now += std::chrono::seconds(1);
  }
  json::array found(std::string_view word, std::size_t most = 20) {
    history->close();
    return past_decisions(*history, word, most);
  }

  World world{""};
  Folder folder;
  Troubles troubles;
  Tail tail;
  std::unique_ptr<History> history;
  json::object decision;
  std::vector<std::string> refs;
  std::string ref;
};

TEST_F(OutcomesKept, ADecisionHasWhatBecameOfEachRecipient) {
  keep(made(OutcomeKind::deferred, "bob@far.example", "mailbox full", 452), refs[0]);
  keep(sent("carol@far.example"), refs[1]);
  keep(sent("bob@far.example"), refs[0]);
  MailOutcome& archive = sent("archive@here.example");
  keep(archive, "");
  const json::array records = found("A1C2A3B4D0");
  ASSERT_EQ(records.size(), 1U);
  const json::object& r = records.front().as_object();
  const json::array& bob = r.at("recipients").as_array()[0].at("outcomes").as_array();
  ASSERT_EQ(bob.size(), 2U);
  EXPECT_EQ(bob[0].at("outcome"), "deferred");
  EXPECT_EQ(bob[1].at("outcome"), "delivered");
  EXPECT_EQ(r.at("recipients").as_array()[1].at("outcomes").as_array().size(), 1U);
  EXPECT_EQ(r.at("more").as_array().front().at("recipient"), "archive@here.example");
}

TEST_F(OutcomesKept, AnAddressThatTheMtaAddedLeadsToTheDecision) {
  keep(dead("archive@here.example"), "");
  const json::array records = found("archive@here.example");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records.front().at("ref"), decision.at("ref"));
  EXPECT_EQ(records.front().at("more").as_array().size(), 1U);
}

TEST_F(OutcomesKept, WhatAnAliasMadeOfARecipientLeadsToTheDecision) {
  MailOutcome& o = sent("bob@far.example");
  o.became = "robert@farther.example";
  keep(o, refs[0]);
  const json::array records = found("robert@farther.example");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records.front().at("ref"), decision.at("ref"));
}

TEST_F(OutcomesKept, ManyOutcomesHideNoDecision) {
  for (int i = 0; i < 300; ++i) keep(sent("bob@far.example"), refs[0]);
  const json::array records = found("bob@far.example", 1);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_FALSE(records.front().as_object().contains("event"));
  EXPECT_EQ(records.front().at("recipients").as_array()[0].at("outcomes").as_array().size(), 300U);
}

TEST_F(OutcomesKept, OutcomesOfADecisionThatIsGoneStandAlone) {
  MailOutcome& o = dead("dave@far.example");
  o.sending.ref = "ZZZZZZZZ";
  OutcomeChronicle(history.get(), tail).hear(o);
  const json::array records = found("dave@far.example");
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records.front().at("event"), "outcome");
}

TEST_F(OutcomesKept, AnOutcomeIsNoTransactionOfThePast) {
  keep(sent("bob@far.example"), refs[0]);
  history->close();
  int played = 0;
  const auto figures =
      read_past({folder.file("history"), {}}, {.transaction = [&](const PastTransaction&) { ++played; }}, {});
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(played, 1);
  EXPECT_EQ(figures->left_out, 0);
}

TEST_F(OutcomesKept, ThoseWhoWatchSeeWhatTheyAskedFor) {
  std::vector<std::string> seen;
  const auto watch = [&](Tail::Filter filter) {
    tail.watch(std::move(filter), [&seen](const std::string& line) { seen.push_back(line); });
  };
  watch({.outcomes = true});
  watch({.address = "BOB@far.example", .outcomes = true});
  watch({.address = "nobody@far.example", .outcomes = true});
  watch({.from = IpNetwork::parse("198.51.100.0/24"), .outcomes = true});
  watch({});
  keep(sent("bob@far.example"), refs[0]);
  EXPECT_EQ(seen.size(), 2U);
}

TEST_F(OutcomesKept, AReportReadsThem) {
  const auto report = [&] {
    auto r = std::make_unique<DayReport>(Instant(), *book);
    for (const auto& o : all) {
      r->record(json::parse(outcome_line(*o)).as_object(), o->time);
    }
    r->finish();
    return r;
  };
  made(OutcomeKind::deferred, "bob@far.example", "mailbox full", 452);
  sent("bob@far.example");
  dead("carol@far.example");
  listed("dave@far.example");
  made(OutcomeKind::deferred, "erin@far.example", "mailbox full", 452);
  const auto with = report();
  EXPECT_EQ(with->delivered, 1);
  EXPECT_EQ(with->bounced, 2);
  EXPECT_EQ(with->waiting, 1);
  EXPECT_EQ(with->blocked.begin()->first[0], "Spamhaus");
  EXPECT_EQ(with->dead.begin()->first[0], "carol@far.example");
  EXPECT_TRUE(with->complaints.empty());
  made(OutcomeKind::complaint, "bob@far.example", "").source = MailOutcome::Source::report;
  MailOutcome& late = dead("bob@far.example");
  late.source = MailOutcome::Source::report;
  late.corrects = true;
  const auto corrected = report();
  EXPECT_EQ(corrected->delivered, 0);
  EXPECT_EQ(corrected->bounced, 3);
  EXPECT_EQ(corrected->complaints.begin()->first[0], "alice");
}

TEST_F(OutcomesSeen, FiguresAreBoundedWhateverTheProvidersAre) {
  OutcomeStatistics statistics;
  for (int i = 0; i < 3; ++i) statistics.hear(dead("bob@far.example"));
  statistics.hear(sent("bob@far.example"));
  const auto figures = statistics.figures();
  EXPECT_EQ(
      figures.at({"hard_bounce", "user_unknown", std::string(info_of(Reason::user_unknown).classification), "(other)"}),
      3);
  EXPECT_EQ(figures.at({"delivered", "", "", "(other)"}), 1);
  for (int i = 0; i < 1000; ++i) {
    MailOutcome& o = dead("bob@far.example");
    const std::string name = fmt::format("provider {}", i);
    o.explained.provider = name;
    statistics.hear(o);
  }
  EXPECT_LE(statistics.figures().size(), 251U);
}

// What admins are told.
class OutcomesWatched : public OutcomesSeen {
 protected:
  OutcomeWatch watch{[this](Event event, const std::string& key, const std::function<Note()>& make) {
    told.emplace_back(event, key);
    notes.push_back(make());
  }};
  void pass(std::chrono::minutes time) { now += time; }

  std::vector<std::pair<Event, std::string>> told;
  std::vector<Note> notes;
};

TEST_F(OutcomesWatched, AProviderThatBeginsToRefuseUsIsTold) {
  for (int i = 0; i < 9; ++i) watch.hear(sent("a@far.example"));
  for (int i = 0; i < 4; ++i) watch.hear(listed("b@far.example"));
  EXPECT_TRUE(told.empty());
  watch.hear(listed("b@far.example"));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].first, Event::blocked);
  EXPECT_EQ(told[0].second, "Spamhaus");
  EXPECT_EQ(notes[0].subject.substr(0, 40), "Spamhaus refuses us: ip_blocked, since 1");
  for (const char* part : {"Mail:   5 of 5 attempts", "Reply:  554 Service unavailable",
                           "To do:  ", "replygate why A1C2A3B4D0", "replygate report --since 1h"}) {
    EXPECT_NE(notes[0].text.find(part), std::string::npos) << part << " in " << notes[0].text;
  }
}

TEST_F(OutcomesWatched, AFewAmongManyAreNothing) {
  for (int i = 0; i < 100; ++i) {
    watch.hear(made(OutcomeKind::delivered, "a@far.example", "ok", 250));
    if (i % 10 == 0) watch.hear(made(OutcomeKind::blocked, "a@far.example", "rejected as spam", 550));
    if (i % 20 == 0) watch.hear(dead("a@far.example"));
  }
  EXPECT_TRUE(told.empty());
}

TEST_F(OutcomesWatched, WhatIsHalfAnHourOldIsOver) {
  for (int i = 0; i < 4; ++i) watch.hear(listed("b@far.example"));
  pass(std::chrono::minutes(31));
  for (int i = 0; i < 4; ++i) watch.hear(listed("b@far.example"));
  EXPECT_TRUE(told.empty());
  watch.hear(listed("b@far.example"));
  EXPECT_EQ(told.size(), 1U);
  EXPECT_NE(notes[0].text.find("Mail:   5 of 5"), std::string::npos) << notes[0].text;
}

TEST_F(OutcomesWatched, WhoSendsToDeadAddressesIsTold) {
  for (int i = 0; i < 40; ++i) watch.hear(sent(fmt::format("a{}@far.example", i)));
  for (int i = 0; i < 10; ++i) watch.hear(dead(fmt::format("b{}@far.example", i)));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].first, Event::bounces);
  EXPECT_EQ(notes[0].subject, "alice sends to addresses that do not exist: 10 of 50");
  EXPECT_NE(notes[0].text.find("replygate quota show alice"), std::string::npos);
}

TEST_F(OutcomesWatched, AClockThatIsSetBackKeepsNothingForEver) {
  now += std::chrono::hours(5);
  for (int i = 0; i < 4; ++i) watch.hear(listed("b@far.example"));
  now -= std::chrono::hours(5);
  for (int i = 0; i < 4; ++i) watch.hear(listed("b@far.example"));
  EXPECT_TRUE(told.empty());
  watch.hear(listed("b@far.example"));
  EXPECT_EQ(told.size(), 1U);
}

TEST_F(OutcomesWatched, TheNullSenderIsNobody) {
  for (int i = 0; i < 40; ++i) {
    MailOutcome& o = dead("b@far.example");
    o.sending.user = o.sending.sender = "";
    watch.hear(o);
  }
  EXPECT_TRUE(told.empty());
}

TEST_F(OutcomesWatched, ItsMemoryIsBounded) {
  for (int i = 0; i < 5000; ++i) {
    MailOutcome& o = dead(fmt::format("b@far{}.example", i));
    o.status.host = fmt::format("mx.far{}.example", i);
    o.sending.user = fmt::format("user{}", i);
    watch.hear(o);
    all.clear();
    now += std::chrono::seconds(1);
  }
  for (int i = 0; i < 10; ++i) watch.hear(dead("b@far.example"));
  EXPECT_EQ(told.size(), 1U);
}

}  // namespace
}  // namespace replygate

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "milter/bounce/status_files.h"
#include "milter/outcome/day_report.h"
#include "milter/outcome/gather_report.h"
#include "milter/outcome/report_page.h"
#include "policy/scenario/scenario.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using test::Talk;
using test::World;

class Reports : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_status_book("");
    ASSERT_TRUE(opened) << opened.error();
    book = *std::move(opened);
  }

  void take(DayReport& into, const std::vector<std::string>& lines) const {
    for (const std::string& line : lines) {
      const auto record = boost::json::parse(line).as_object();
      into.record(record, *parse_time(std::string_view(record.at("time").as_string())));
    }
  }

  // Mail A1C2A3B4D0 of alice to each recipient, with what came of it.
  DayReport* log(std::initializer_list<std::pair<const char*, const char*>> attempts) {
    report = std::make_unique<DayReport>(Instant(), *book);
    MailTrail trail(*report);
    const auto line = [&](const std::string& text) {
      const std::string whole = "Nov 29 10:00:01 mail postfix/" + text;
      trail.take(Instant(std::chrono::hours(1)), read_log_event(whole));
    };
    line("smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice");
    line("qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=9 (queue active)");
    for (const auto& [to, rest] : attempts) {
      line(fmt::format("smtp[1]: A1C2A3B4D0: to=<{}>, relay=mx.far.example[192.0.2.9]:25, delay=1, delays=0/0/1/0, {}",
                       to, rest));
    }
    line(
        "smtpd[1]: NOQUEUE: reject: RCPT from c.example[192.0.2.9]: 554 5.7.1 <x@y.example>: Relay access denied; "
        "from=<a@c.example> to=<x@y.example> proto=ESMTP helo=<h>");
    line(
        "smtpd[1]: NOQUEUE: milter-reject: RCPT from c.example[192.0.2.9]: 452 4.7.1 Quota; from=<a@c.example> "
        "to=<x@y.example> proto=ESMTP helo=<h>");
    trail.finish();
    report->finish();
    return report.get();
  }

  std::unique_ptr<StatusBook> book;
  std::unique_ptr<DayReport> report;
};

constexpr const char* kUnknown =
    "dsn=5.1.1, status=bounced (host mx.far.example[192.0.2.9] said: 550 5.1.1 user unknown (in reply to RCPT TO "
    "command))";
constexpr const char* kListed =
    "dsn=5.7.1, status=bounced (host mx.far.example[192.0.2.9] said: 554 5.7.1 Service unavailable; Client host "
    "[192.0.2.7] blocked using zen.spamhaus.org (in reply to RCPT TO command))";
constexpr const char* kFull =
    "dsn=4.2.2, status=deferred (host mx.far.example[192.0.2.9] said: 452 4.2.2 mailbox full (in reply to RCPT TO "
    "command))";
constexpr const char* kSent = "dsn=2.0.0, status=sent (250 ok)";

TEST_F(Reports, WhatFiltersRefuseIsToldByTheLogWhereThereAreNoRecords) {
  for (const bool records : {true, false}) {
    DayReport told(Instant::min(), *book);
    if (!records) told.without_records();
    MailTrail trail(told);
    trail.take(Instant(std::chrono::hours(1)),
               read_log_event("Nov 29 10:00:01 mail postfix/cleanup[1]: A1C2A3B4D0: milter-reject: END-OF-MESSAGE from "
                              "c.example[192.0.2.9]: 5.7.1 Spam; from=<a@c.example> to=<x@y.example> proto=ESMTP "
                              "helo=<h>"));
    trail.finish();
    EXPECT_EQ(told.own.size(), records ? 0U : 1U);
  }
}

TEST_F(Reports, EachRecipientHasOneEnd) {
  const DayReport& r = *log({{"a@far.example", kFull},
                             {"a@far.example", kSent},
                             {"b@far.example", kUnknown},
                             {"c@far.example", kListed},
                             {"d@far.example", kFull},
                             {"d@far.example", kFull}});
  EXPECT_EQ(r.delivered, 1);
  EXPECT_EQ(r.bounced, 2);
  EXPECT_EQ(r.waiting, 1);
  ASSERT_EQ(r.blocked.size(), 1U);
  EXPECT_EQ(r.blocked.begin()->first[0], "Spamhaus");
  EXPECT_EQ(r.blocked.begin()->first[1], "ip_blocked");
  EXPECT_EQ(r.blocked.begin()->second.example, "A1C2A3B4D0");
  ASSERT_EQ(r.failed.size(), 1U);
  EXPECT_EQ(r.failed.begin()->first[0], "far.example");
  EXPECT_EQ(r.failed.begin()->first[1], "user_unknown");
  ASSERT_EQ(r.dead.size(), 1U);
  EXPECT_EQ(r.dead.begin()->first[0], "b@far.example");
  EXPECT_EQ(r.deferred.begin()->first[1], "mailbox_full");
}

// Not the alias that had it among others.
TEST_F(Reports, WhoDiedBehindAnAliasIsNamed) {
  DayReport r(Instant(), *book);
  const boost::json::object told{
      {"recipient", "team@here.example"}, {"became", "x@far.example"}, {"outcome", "hard_bounce"}, {"told_by", "log"}};
  r.record({{"event", "outcome"}, {"queue_id", "A1C2A3B4D0"}, {"recipients", boost::json::array{told}}},
           Instant(std::chrono::hours(100)));
  ASSERT_EQ(r.dead.size(), 1U);
  EXPECT_EQ(r.dead.begin()->first[0], "x@far.example");
}

TEST_F(Reports, MailThatExpiredHasFailed) {
  DayReport r(Instant(), *book);
  MailTrail trail(r);
  for (const char* text : {"smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1]",
                           "qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)",
                           "smtp[1]: A1C2A3B4D0: to=<a@far.example>, relay=none, delay=1, delays=0/0/1/0, dsn=4.2.2, "
                           "status=deferred (host "
                           "mx.far.example[192.0.2.9] said: 452 4.2.2 mailbox full (in reply to RCPT TO command))",
                           "qmgr[1]: A1C2A3B4D0: from=<a@here.example>, status=expired, returned to sender"}) {
    const std::string line = std::string("Nov 29 10:00:01 mail postfix/") + text;
    trail.take(Instant(std::chrono::hours(1)), read_log_event(line));
  }
  trail.finish();
  r.finish();
  EXPECT_EQ(r.bounced, 1);
  EXPECT_EQ(r.waiting, 0);
  EXPECT_EQ(r.failed.begin()->first[1], "mailbox_full");
}

// What a log of one day tells after the records of it.
struct Told {
  const char* record;   // outcome and minute, "" for none
  const char* attempt;  // what the log has, "" for nothing
  int delivered = 0;
  int bounced = 0;
  int waiting = 0;
};

TEST_F(Reports, RecordsAndALogTellOfEachRecipientOnce) {
  constexpr const char* kGone = "dsn=5.1.1, status=bounced (550 5.1.1 user unknown)";
  constexpr const char* kLater = "dsn=4.2.2, status=deferred (452 4.2.2 mailbox full)";
  for (const Told& t :
       {Told{"delivered", "", 1, 0, 0}, Told{"", kSent, 1, 0, 0}, Told{"delivered", kSent, 1, 0, 0},
        Told{"hard_bounce", kGone, 0, 1, 0}, Told{"hard_bounce", "", 0, 1, 0}, Told{"deferred", kSent, 1, 0, 0},
        Told{"deferred", kLater, 0, 0, 1}, Told{"deferred", "", 0, 0, 1}, Told{"delivered", kLater, 1, 0, 0}}) {
    DayReport r(Instant(), *book);
    const Instant time{std::chrono::hours(100)};
    if (*t.record != '\0') {
      const boost::json::object told{{"recipient", "a@far.example"}, {"outcome", t.record}, {"told_by", "log"}};
      r.record({{"event", "outcome"}, {"queue_id", "A1C2A3B4D0"}, {"recipients", boost::json::array{told}}}, time,
               true);
    }
    MailTrail trail(r);
    std::vector<std::string> lines = {
        "smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1]",
        "qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)",
        fmt::format("smtp[1]: A1C2A3B4D0: to=<A@far.example>, relay=none, delay=1, delays=0/0/1/0, {}", t.attempt)};
    for (const std::string& text : lines) {
      const std::string line = "Nov 29 10:00:01 mail postfix/" + text;
      if (*t.attempt != '\0') trail.take(time, read_log_event(line));
    }
    trail.finish();
    r.finish();
    EXPECT_EQ((std::array{r.delivered, r.bounced, r.waiting}),
              (std::array<std::int64_t, 3>{t.delivered, t.bounced, t.waiting}))
        << t.record << ", " << t.attempt;
  }
}

TEST_F(Reports, MailFromBeforeTheLogCountsByRecipient) {
  DayReport r(Instant(), *book);
  MailTrail trail(r);
  const auto take = [&](const std::string& id, const std::string& text) {
    const std::string line = fmt::format("Nov 29 10:00:01 mail postfix/{}", fmt::format(fmt::runtime(text), id));
    trail.take(Instant(std::chrono::hours(1)), read_log_event(line));
  };
  const std::string queued = "qmgr[1]: {}: from=<b@here.example>, size=10, nrcpt=1 (queue active)";
  const std::string to =
      "smtp[1]: {}: to=<q@far.example>, relay=mx.far.example[192.0.2.9]:25, delay=9, delays=0/0/1/0, ";
  take("B1C2A3B4D0", queued);
  take("B1C2A3B4D0", to + kUnknown);
  take("B1C2A3B4D0", "bounce[1]: {}: sender non-delivery notification: B2C2A3B4D0");
  take("B2C2A3B4D0", "qmgr[1]: {}: from=<>, size=10, nrcpt=1 (queue active)");
  take("B2C2A3B4D0", to + kSent);
  take("B3C2A3B4D0", queued);
  take("B3C2A3B4D0", to + kFull);
  take("B4C2A3B4D0", to + kSent);
  take("B5C2A3B4D0", queued);
  take("B5C2A3B4D0", to + kListed);
  take("B6C2A3B4D0", queued);
  take("B6C2A3B4D0", to + kFull);
  take("B6C2A3B4D0", "qmgr[1]: {}: from=<b@here.example>, status=expired, returned to sender");
  trail.finish();
  r.finish();
  EXPECT_EQ((std::array{r.delivered, r.bounced, r.waiting, r.unknown}), (std::array<std::int64_t, 4>{1, 3, 1, 5}));
  EXPECT_EQ(r.blocked.size(), 1U);
  EXPECT_EQ(r.dead.size(), 1U);
  EXPECT_NE(report_text(r, "today").find("5 of them of mail that came before the log begins"), std::string::npos);
}

TEST_F(Reports, TheServersOwnRefusalsAreNotTheFilters) {
  const DayReport& r = *log({});
  ASSERT_EQ(r.own.size(), 1U);
  EXPECT_EQ(r.own.begin()->first[0], "554 5.7.1 <…>: Relay access denied");
  EXPECT_EQ(r.own.begin()->first[1], "relay_denied");
  EXPECT_FALSE(r.is_silent());
}

TEST_F(Reports, WhatEximRefusesIsTold) {
  DayReport told(Instant::min(), *book);
  MailTrail trail(told);
  trail.take(Instant(std::chrono::hours(1)),
             read_log_event("2026-11-29 10:00:00 H=(h) [192.0.2.9] F=<a@c.example> temporarily rejected RCPT "
                            "<x@here.example>: greylisted"));
  trail.finish();
  ASSERT_EQ(told.own.size(), 1U);
  EXPECT_EQ(told.own.begin()->first, (std::vector<std::string>{"greylisted", "greylist"}));
}

constexpr const char* kQuota =
    "[[rule]]\nname = \"quota\"\nper = \"user\"\nlimit = \"10 recipients / 1h\"\nreply = \"quota-exceeded\"\n";

void send(World& world, const std::string& user, int recipients) {
  Talk talk(world);
  talk.connect("192.0.2.1");
  talk.helo();
  talk.mail("<a@here.example>", user);
  for (int i = 0; i < recipients; ++i) talk.rcpt(fmt::format("<r{}@far.example>", i));
  talk.data();
  talk.end_of_headers();
  talk.end();
}

TEST_F(Reports, RecordsTellOfRefusalsAndLimits) {
  World world(kQuota);
  send(world, "alice", 12);
  send(world, "bob", 9);
  send(world, "carol", 3);
  DayReport r(Instant(), *book);
  take(r, world.records.json);
  EXPECT_EQ(r.passed, 22);
  EXPECT_EQ(r.refused, 2);
  EXPECT_EQ(r.refusals.at({"quota", "quota-exceeded", "soft", "rate_limited"}).count, 2);
  const auto limits = r.fullest(5);
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0].key, "alice");
  EXPECT_TRUE(limits[0].full);
  EXPECT_EQ(limits[1].key, "bob");
  EXPECT_DOUBLE_EQ(limits[1].part, 0.9);
}

TEST_F(Reports, WhatIsNewIsWhatWasNotThereBefore) {
  World world(kQuota);
  send(world, "carol", 3);
  world.pass(std::chrono::hours(30));
  const Instant since = world.now - std::chrono::minutes(1);
  send(world, "alice", 11);
  DayReport r(since, *book);
  take(r, world.records.json);
  EXPECT_EQ(r.passed, 10);
  EXPECT_EQ(r.fresh.at({"quota", r.fresh.begin()->first[1]}).count, 1);
  EXPECT_EQ(r.last_policy_before, world.policy->id());
}

TEST_F(Reports, ObserveModeIsTold) {
  World world(std::string(kQuota) + "mode = \"observe\"\n");
  send(world, "alice", 12);
  DayReport r(Instant(), *book);
  take(r, world.records.json);
  r.finish();
  EXPECT_EQ(r.refused, 0);
  EXPECT_EQ(r.observed.at({"quota", "quota-exceeded"}).count, 2);
  const std::string text = report_text(r, "today");
  EXPECT_NE(text.find("rules in observe mode would have answered: 2\n     2  quota (quota-exceeded)"),
            std::string::npos)
      << text;
}

TEST_F(Reports, WhatWaitsIsNamedInTheCountOfThoseWhoRefuseUs) {
  constexpr const char* kListedForNow =
      "dsn=4.7.1, status=deferred (host mx.far.example[192.0.2.9] said: 450 4.7.1 Service unavailable; Client host "
      "[192.0.2.7] blocked using zen.spamhaus.org (in reply to RCPT TO command))";
  const DayReport& r = *log({{"c@far.example", kListed}, {"d@far.example", kListedForNow}});
  const std::string text = report_text(r, "today");
  EXPECT_NE(text.find("1 bounced, 1 waiting"), std::string::npos) << text;
  EXPECT_NE(text.find("they refuse us: 2, 1 of them still waiting"), std::string::npos) << text;
}

TEST_F(Reports, SilenceIsSilent) {
  World world(kQuota);
  send(world, "carol", 3);
  DayReport r(Instant(), *book);
  take(r, world.records.json);
  r.finish();
  EXPECT_TRUE(r.is_silent());
}

TEST(RotatedLogs, AreReadAsFarAsTheyAreNewEnough) {
  const test::Folder folder;
  for (const char* name :
       {"mail.log", "mail.log.1", "mail.log.2.gz", "mail.log-20261129", "mail.log.bak", "mail.err"}) {
    folder.write(name, "x");
  }
  const auto touch = [&](const char* name, int hours) {
    std::filesystem::last_write_time(
        folder.file(name), std::filesystem::file_time_type::clock::from_sys(Instant(std::chrono::hours(hours))));
  };
  touch("mail.log.2.gz", 490'000);
  touch("mail.log.1", 490'048);
  touch("mail.log-20261129", 490'030);
  const auto files = with_rotated(folder.file("mail.log"), Instant(std::chrono::hours(490'024)));
  EXPECT_EQ(files, (std::vector{folder.file("mail.log-20261129"), folder.file("mail.log.1"), folder.file("mail.log")}));
  EXPECT_EQ(with_rotated("journal", Instant()), std::vector<std::string>{"journal"});
}

TEST(WrittenReports, SayWhatCouldNotBeRead) {
  const test::Folder folder;
  const auto nothing = [](const LogProgress&) {};
  const auto report = write_report({"", {folder.file("none")}}, "", Instant(), "mx", nothing);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().find("No such file"), std::string::npos);
  folder.write("log", "Nov 29 10:00:01 mail postfix/qmgr[1]: A1C2A3B4D0: removed\n");
  const auto quiet = write_report({"", {folder.file("log")}}, "", Instant(), "mx", nothing);
  ASSERT_TRUE(quiet);
  EXPECT_TRUE(quiet->starts_with("mx since ")) << *quiet;
  EXPECT_EQ(std::ranges::count(*quiet, '\n'), 1) << *quiet;
  const auto late = write_report({"", {folder.file("log")}}, "", *parse_time("2099-01-01T00:00:00Z"), "mx", nothing);
  ASSERT_TRUE(late);
  EXPECT_NE(late->find("the log ends at "), std::string::npos) << *late;
  folder.write("log", "\x7f ELF\n\x01\x02\n");
  const auto garbage = write_report({"", {folder.file("log")}}, "", Instant(), "mx", nothing);
  ASSERT_TRUE(garbage);
  EXPECT_NE(garbage->find("no line of it begins with a time"), std::string::npos) << *garbage;
  EXPECT_NE(garbage->find("the log tells of no mail"), std::string::npos) << *garbage;
}

}  // namespace
}  // namespace replygate

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "milter/log/history_scan.h"
#include "milter/outcome/past_records.h"
#include "milter/outcome/replay_report.h"
#include "policy/scenario/replayer.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using test::Talk;
using test::World;

constexpr const char* kPolicy = R"(
[site]
local_domains = ["here.example"]
trusted_networks = ["192.0.2.0/28"]
[[rule]]
name = "helo"
when = { helo = "bad.example" }
reply = "bad-helo"
[[rule]]
name = "relay"
unless = { recipient_domain = "$local_domains", client_ip = "$trusted_networks", authenticated = true }
reply = "relay-denied"
[[rule]]
name = "many"
when = { recipients = "> 5" }
reply = "too-many-recipients"
[[rule]]
name = "quota"
when = { authenticated = true }
per = "user"
limit = ["12 recipients / 1h", "3 messages / 10m"]
reply = "quota-exceeded"
escalate = [{ after = "6 refusals / 1h", reply = 550 }]
[[rule]]
name = "bytes"
per = "client_net"
limit = "300 KB / 30m"
reply = "quota-exceeded"
[[rule]]
name = "tries"
per = "sender"
count = "attempts"
limit = "40 recipients / 1h"
reply = "rate-limited"
[[rule]]
name = "harvest"
per = "client_ip"
limit = "4 unknown_recipients / 1h"
reply = 421
[[rule]]
name = "flood"
per = ["sender", "digest"]
limit = "4 messages / 1h"
reply = "duplicate-flood"
[[rule]]
name = "grey"
unless = { client_ip = "$trusted_networks", authenticated = true }
per = ["client_net", "sender", "recipient"]
greylist = { delay = "5m", retry_within = "1d", remember = "36d" }
reply = "greylisted"
)";

// Sessions of all kinds, many at a time; each does one thing after the other.
class Crowd {
 public:
  Crowd(World& world, unsigned seed) : world_(world), random_(seed) {}

  void act(int steps) {
    for (int i = 0; i < steps; ++i) {
      world_.pass(std::chrono::milliseconds(1 + random_() % 4000));
      auto& one = people_[random_() % 12];
      if (!one) one = arrive();
      if (!step(*one)) one.reset();
    }
    for (auto& [number, one] : people_) {
      if (one && one->state > 0) one->talk.abort();
      one.reset();
    }
  }

 private:
  struct Person {
    explicit Person(World& world) : talk(world) {}
    Talk talk;
    std::string user;
    std::string sender;
    int state = 0;  // 1: MAIL was taken, 2: a recipient, too
  };

  std::unique_ptr<Person> arrive() {
    auto one = std::make_unique<Person>(world_);
    const auto who = random_() % 6;
    one->talk.connect(who < 3 ? fmt::format("192.0.2.{}", who) : fmt::format("198.51.100.{}", who));
    one->talk.helo(random_() % 9 == 0 ? "bad.example" : "client.example.net");
    if (random_() % 2 == 0) one->user = fmt::format("user{}@here.example", random_() % 3);
    one->sender = random_() % 8 == 0 ? "<>" : fmt::format("<s{}@there.example>", random_() % 4);
    return one;
  }

  bool step(Person& p) {
    if (p.state == 0) {
      if (random_() % 5 == 0) return false;
      p.state = p.talk.mail(p.sender, p.user).empty() ? 1 : 0;
      return p.state == 1 || random_() % 2 == 0;
    }
    const auto what = random_() % 10;
    if (what < 6) {
      const std::string to =
          fmt::format("<r{}@{}>", random_() % 9, random_() % 3 == 0 ? "far.example" : "here.example");
      const bool unknown = random_() % 7 == 0;
      const std::string said = unknown ? p.talk.mta_refused(to, "5.1.1", "unknown") : p.talk.rcpt(to);
      if (said.starts_with("421")) {
        p.talk.abort();
        return false;
      }
      if (!unknown && said.empty()) p.state = 2;
    } else if (what == 6 || p.state == 1) {
      p.talk.abort();
      p.state = 0;
    } else {
      send(p);
      p.state = 0;
    }
    return true;
  }

  void send(Person& p) {
    if (!p.talk.data().empty()) return p.talk.abort();
    p.talk.header("Subject", fmt::format("number {}", random_() % 3));
    if (!p.talk.end_of_headers().empty()) return p.talk.abort();
    p.talk.content(static_cast<std::int64_t>(random_() % 60000));
    if (!p.talk.end().empty()) p.talk.abort();
  }

  World& world_;
  std::mt19937 random_;
  std::map<unsigned long, std::unique_ptr<Person>> people_;
};

std::unique_ptr<ReplayReport> replay(const std::vector<std::string>& lines, const std::shared_ptr<const Policy>& policy,
                                     Instant since = Instant::min()) {
  const Ignorance ignorance = ignorance_of({"history", {}}, true);
  std::vector<std::string> names;
  for (const Unjudged& u : unjudged_rules(*policy, ignorance.beyond, ignorance.units, ignorance.source)) {
    names.push_back(u.rule->name);
  }
  auto report = std::make_unique<ReplayReport>(since);
  Replayer replayer(policy, ignorance.beyond, names, *report);
  for (const std::string& line : lines) {
    auto past = past_of_record(line);
    EXPECT_TRUE(past) << line;
    if (past) replayer.play(*std::move(past));
  }
  replayer.finish();
  return report;
}

TEST(Replay, ThePolicyThatMadeAHistoryReproducesIt) {
  std::int64_t refusals = 0;
  std::int64_t recipients = 0;
  for (unsigned seed = 1; seed <= 8; ++seed) {
    World world(kPolicy);
    Crowd(world, seed).act(6000);
    const auto report = replay(world.records.json, world.policy);
    EXPECT_EQ(report->same, report->recipients)
        << "seed " << seed << ": " << report->refused.recipients << " refused, " << report->accepted.recipients
        << " accepted, " << report->other.recipients << " otherwise";
    EXPECT_EQ(report->left, 0);
    recipients += report->recipients;
    for (const std::string& line : world.records.json)
      refusals += line.find("\"action\":\"refuse\"") != std::string::npos;
  }
  EXPECT_GT(recipients, 15000);
  EXPECT_GT(refusals, 2000);
}

// A user who sends one message a minute.
std::vector<std::string> an_hour_of(World& world, int messages, const std::string& user = "alice@here.example") {
  for (int i = 0; i < messages; ++i) {
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.helo();
    talk.mail("<alice@here.example>", user);
    if (talk.rcpt(fmt::format("<r{}@there.example>", i)).empty()) {
      talk.data();
      talk.end_of_headers();
      talk.content(10);
      talk.end();
    } else {
      talk.abort();
    }
    world.pass(std::chrono::minutes(1));
  }
  return world.records.json;
}

constexpr const char* kOpen = "[[rule]]\nname = \"none\"\nwhen = { sender = \"x@y.example\" }\nreply = 550\n";
constexpr const char* kTen =
    "[[rule]]\nname = \"ten\"\nper = \"user\"\nlimit = \"10 recipients / 1h\"\nreply = \"quota-exceeded\"\n";

TEST(Replay, AHistoryThatCannotBeReadIsNoEmptyOne) {
  test::Folder folder;
  folder.write("1.db", "no database at all, and long enough to be taken for one");
  const auto scanned = scan_history(folder.path().string(), [](std::string_view) {}, {});
  ASSERT_FALSE(scanned);
  EXPECT_NE(scanned.error().find("1.db"), std::string::npos) << scanned.error();
}

TEST(Replay, SaysWhatAStricterPolicyRefuses) {
  World world(kOpen);
  const auto lines = an_hour_of(world, 30);
  const auto report = replay(lines, test::policy_from(kTen));
  EXPECT_EQ(report->refused.recipients, 20);
  const auto& rule = report->refused.rules.at("ten");
  const auto& key = rule.keys.at("alice@here.example");
  EXPECT_EQ(key.recipients, 20);
  EXPECT_EQ(key.first.recipient, "r10@there.example");
  EXPECT_EQ(key.first.use, "10 of 10 recipients / 1h");
  EXPECT_EQ(key.first.now.code, 452);
  EXPECT_FALSE(key.first.ref.empty());
}

TEST(Replay, SaysWhatALaxerPolicyAccepts) {
  World world(kTen);
  const auto lines = an_hour_of(world, 30);
  const auto report = replay(lines, test::policy_from(kOpen));
  EXPECT_EQ(report->accepted.recipients, 20);
  EXPECT_EQ(report->accepted.rules.at("ten").recipients, 20);
  EXPECT_EQ(report->same, 10);
}

TEST(Replay, ObservedRulesAreToldApart) {
  World world(kOpen);
  const auto lines = an_hour_of(world, 30);
  const auto report = replay(lines, test::policy_from(std::string(kTen) + "mode = \"observe\"\n"));
  EXPECT_EQ(report->refused.recipients, 0);
  EXPECT_EQ(report->observed.rules.at("ten").recipients, 20);
  EXPECT_EQ(report->same, 30);
}

TEST(Replay, WhatWasBeforeFillsCounters) {
  World world(kOpen);
  const Instant half = world.now + std::chrono::minutes(15);
  const auto lines = an_hour_of(world, 30);
  const auto report = replay(lines, test::policy_from(kTen), half);
  EXPECT_EQ(report->warming, 15);
  EXPECT_EQ(report->refused.recipients, 15);
}

TEST(Replay, WhatCannotBeJudgedIsLeftAsItWas) {
  World world("[[rule]]\nname = \"subject\"\nwhen = { header.Subject = \"*buy*\" }\nreply = 554\n");
  Talk talk(world);
  talk.connect("192.0.2.1");
  talk.helo();
  talk.mail("<alice@here.example>");
  talk.rcpt("<bob@there.example>");
  talk.data();
  talk.header("Subject", "buy now");
  EXPECT_EQ(talk.end_of_headers().substr(0, 3), "554");
  talk.abort();
  const auto report = replay(world.records.json, world.policy);
  EXPECT_EQ(report->left, 1);
  EXPECT_EQ(report->accepted.recipients, 0);
  const auto unjudged = unjudged_rules(*world.policy, bit(Fact::header), {}, "a record");
  ASSERT_EQ(unjudged.size(), 1U);
  EXPECT_EQ(unjudged[0].why, "a record does not tell header.subject");
}

TEST(Replay, LiveSourcesAreNotAsked) {
  World world(kOpen);
  const auto lines = an_hour_of(world, 3);
  const auto policy = test::policy_from(
      "[lists]\nblocked = \"socketmap:inet:127.0.0.1:2000:blocked\"\n[[rule]]\nname = \"asks\"\nwhen = { sender = "
      "\"$blocked\" }\nreply = 550\n");
  EXPECT_EQ(replay(lines, policy)->same, 3);
  const auto unjudged = unjudged_rules(*policy, 0, {}, "a record");
  ASSERT_EQ(unjudged.size(), 1U);
  EXPECT_EQ(unjudged[0].why, "a record does not tell what the source \"blocked\" said");
}

TEST(Replay, ALogKnowsLess) {
  const Ignorance logs = ignorance_of({"", {"mail.log"}}, true);
  const auto policy = test::policy_from(
      std::string(kTen) +
      "[[rule]]\nname = \"greeting\"\nwhen = { helo = \"x\" }\nreply = 550\n"
      "[[rule]]\nname = \"guesses\"\nper = \"client_ip\"\nlimit = \"5 unknown_recipients / 1h\"\nreply = 550\n");
  std::vector<std::string> names;
  for (const Unjudged& u : unjudged_rules(*policy, logs.beyond, logs.units, logs.source)) names.push_back(u.rule->name);
  EXPECT_EQ(names, (std::vector<std::string>{"greeting", "guesses"}));
}

PastTransaction mail_of_alice(std::uint64_t minute, const std::vector<std::string>& recipients) {
  LoggedMail mail;
  mail.time = Instant(std::chrono::hours(490000) + std::chrono::minutes(minute));
  mail.client_ip = "192.0.2.1";
  mail.user = "alice@here.example";
  mail.sender = "alice@here.example";
  mail.recipients = recipients;
  return past_of_mail(mail, minute);
}

TEST(Replay, ARuleThatCannotBeJudgedHasNoPartInIt) {
  const auto policy = test::policy_from(
      std::string(kTen) +
      "[[rule]]\nname = \"visits\"\nper = \"client_ip\"\nlimit = \"1 connections / 1h\"\nreply = 450\n"
      "[[rule]]\nname = \"subject\"\nwhen = { header.Subject = \"x\" }\non_unknown = \"tempfail\"\nreply = 554\n");
  const Ignorance logs = ignorance_of({"", {"log"}}, true);
  const auto unjudged = unjudged_rules(*policy, logs.beyond, logs.units, logs.source);
  ASSERT_EQ(unjudged.size(), 2U);
  const auto judged = without(*policy, unjudged);
  EXPECT_EQ(judged->id(), policy->id());
  ReplayReport report(Instant::min());
  Replayer replayer(judged, logs.beyond, {"visits", "subject"}, report);
  for (std::uint64_t i = 0; i < 4; ++i) {
    replayer.play(mail_of_alice(i, {"a@there.example"}));
  }
  replayer.finish();
  EXPECT_EQ(report.same, 4);
  EXPECT_EQ(report.refused.recipients, 0);
}

TEST(Replay, MailOfALogIsJudged) {
  const auto policy = test::policy_from(kTen);
  ReplayReport report(Instant::min());
  Replayer replayer(policy, ignorance_of({"", {"log"}}, true).beyond, {}, report);
  for (std::uint64_t i = 0; i < 4; ++i) {
    replayer.play(mail_of_alice(i, {"a@there.example", "b@there.example", "c@there.example", "d@there.example"}));
  }
  replayer.finish();
  EXPECT_EQ(report.recipients, 16);
  EXPECT_EQ(report.refused.recipients, 6);
}

}  // namespace
}  // namespace replygate

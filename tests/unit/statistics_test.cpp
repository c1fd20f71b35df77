#include "milter/serve/statistics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include <algorithm>
#include <string>

#include "milter/door/decision_times.h"
#include "milter/serve/metrics.h"
#include "milter/serve/report_status.h"
#include "tests/support/office.h"

namespace replygate {
namespace {

using test::Office;

constexpr std::string_view kPolicy =
    "[[rule]]\nname = \"watched\"\nmode = \"observe\"\nwhen = { sender = \"spy@b.example\" }\nreply = 554\n"
    "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"4 recipients / 1h\"\nwarn_at = \"50%\"\nreply = "
    "\"quota-exceeded\"\n";

TEST(Latency, CountsInStepsOfAQuarter) {
  Times latency;
  for (int i = 0; i < 99; ++i) latency.note(std::chrono::microseconds(100));
  latency.note(std::chrono::milliseconds(50));
  EXPECT_EQ(latency.count(), 100);
  EXPECT_EQ(latency.below(std::chrono::milliseconds(1)), 99);
  EXPECT_NEAR(static_cast<double>(latency.quantile(0.5).count()), 100e3, 15e3);
  EXPECT_NEAR(static_cast<double>(latency.quantile(1).count()), 50e6, 13e6);
  EXPECT_EQ(latency.sum(), std::chrono::microseconds(99 * 100 + 50'000));
  latency.note(std::chrono::hours(5));
  latency.note(std::chrono::nanoseconds(0));
  EXPECT_EQ(latency.count(), 102);
}

TEST(Latency, IsSummedOverThreads) {
  DecisionTimes times;
  const Rule rule{.name = "quota", .outcome = {}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 20; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i)
        times.note(Stage::rcpt, i % 2 == 0 ? &rule : nullptr, std::chrono::microseconds(100));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(times.at(Stage::rcpt).count(), 2000);
  EXPECT_EQ(times.at(Stage::rcpt).sum(), std::chrono::milliseconds(200));
  EXPECT_EQ(times.at(Stage::mail).count(), 0);
  EXPECT_NEAR(static_cast<double>(times.p99("quota").count()), 100e3, 15e3);
  EXPECT_EQ(times.p99("another").count(), 0);
}

TEST(Statistics, CountRulesAndWhatBecameOfRecipients) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org", "4@example.org", "5@example.org"});
  office.send("spy@b.example", {"1@example.org"});
  const Statistics::Figures f = office.statistics.figures();
  EXPECT_EQ(f.recipients.at("passed"), 5);
  EXPECT_EQ(f.recipients.at("refused"), 1);
  EXPECT_EQ(f.transactions.at("accepted"), 2);
  EXPECT_EQ(f.refusals.at({"quota", "rcpt", 452, "quota-exceeded"}), 1);
  EXPECT_EQ(f.observed.at({"watched", "mail", 554, "refused-by-policy"}), 1);
  EXPECT_EQ(f.rules.at("quota").hits, 1);
  EXPECT_EQ(f.rules.at("quota").warnings, 1);
  EXPECT_EQ(f.rules.at("watched").observed, 1);
  EXPECT_EQ(f.rules.at("quota").last, office.clock.now());
  EXPECT_DOUBLE_EQ(Statistics::fullest(f.rules.at("quota"), office.clock.now()), 1.0);
  EXPECT_DOUBLE_EQ(Statistics::fullest(f.rules.at("quota"), office.clock.now() + std::chrono::minutes(20)), 0.0);
}

TEST(Rankings, NameWhoSendsMost) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org"}, "alice", "192.0.2.7");
  office.send("c@b.example", {"1@example.org"});
  const Rankings::Tables tables = office.rankings.first(10, office.clock.now());
  ASSERT_EQ(tables.senders.size(), 2U);
  EXPECT_EQ(tables.senders[0].key, "alice");
  EXPECT_EQ(tables.senders[0].recipients, 3);
  EXPECT_EQ(tables.clients[0].key, "192.0.2.7");
  office.clock.pass(std::chrono::minutes(11));
  EXPECT_TRUE(office.rankings.first(10, office.clock.now()).senders.empty());
}

TEST(Ranking, IsBoundedAndKeepsTheGreat) {
  Ranking ranking;
  const Instant now{std::chrono::hours(1000)};
  for (int i = 0; i < 100; ++i) ranking.add("great", 5, 1, now);
  for (int i = 0; i < 100'000; ++i) ranking.add("small" + std::to_string(i), 1, 0, now);
  const auto rows = ranking.first(100'000, now);
  EXPECT_LE(rows.size(), 4097U);
  EXPECT_EQ(rows.at(0).key, "great");
  EXPECT_EQ(rows.at(0).recipients, 500);
}

TEST(Metrics, AreBoundedWhateverTheTraffic) {
  std::string policy;
  for (int i = 0; i < 700; ++i) {
    policy += fmt::format("[[rule]]\nname = \"r{}\"\nwhen = {{ sender = \"a{}@b.example\" }}\nreply = 550\n", i, i);
  }
  Office office(policy);
  for (int i = 0; i < 700; ++i) office.send(fmt::format("a{}@b.example", i), {"1@example.org"});
  for (int i = 0; i < 100; ++i) office.health.noticed(fmt::format("cause {}", i), "nothing");
  const std::string text = metrics_text(*office.desk);
  std::size_t series = 0;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) series += text[at] != '#' ? 1U : 0U;
  EXPECT_GT(series, 500U);
  EXPECT_LE(series, 1000U);
  EXPECT_NE(text.find("rule=\"(other)\""), std::string::npos);
}

TEST(Metrics, LabelsCannotBeForged) {
  Office office(kPolicy);
  office.health.noticed("a\"} 1\nforged{b=\"c\\", "nothing");
  const std::string text = metrics_text(*office.desk);
  EXPECT_EQ(text.find("\nforged"), std::string::npos);
  EXPECT_NE(text.find("cause=\"a\\\"} 1\\\\x0aforged{b=\\\"c\\\\\""), std::string::npos) << text;
}

// Mail of local submission is counted and never refused: whoever asks hears the same everywhere.
TEST(Statistics, LocalSubmissionWouldHaveBeenRefused) {
  Office office("[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"1 recipients / 1h\"\nreply = 452\n");
  const auto session = office.session();
  const auto ignore = [](const Answer&) {};
  session->connect({.ip = IpAddress::parse("127.0.0.1"), .local_submission = true}, office.clock.now(), ignore);
  session->mail({.sender = "<a@b.example>"}, office.clock.now(), ignore);
  for (const std::string to : {"<1@example.org>", "<2@example.org>"}) {
    session->rcpt({.recipient = to}, office.clock.now(), ignore);
  }
  session->end_of_message(office.clock.now(), ignore);
  office.hear_all();
  const auto figures = office.statistics.figures();
  EXPECT_TRUE(figures.refusals.empty());
  ASSERT_EQ(figures.observed.size(), 1U);
  EXPECT_EQ(std::get<2>(figures.observed.begin()->first), 452);
  EXPECT_EQ(figures.rules.at("quota").hits, 0);
  EXPECT_EQ(figures.rules.at("quota").observed, 1);
  EXPECT_EQ(office.rankings.first(10, office.clock.now()).senders.at(0).refused, 0);
}

TEST(Rankings, WhomTheMtaRefusesIsRefused) {
  Office office(kPolicy);
  const auto session = office.session();
  const auto ignore = [](const Answer&) {};
  session->connect({.ip = IpAddress::parse("192.0.2.66")}, office.clock.now(), ignore);
  session->mail({.sender = "<sprayer@b.example>"}, office.clock.now(), ignore);
  for (int i = 0; i < 3; ++i) {
    session->rcpt({.recipient = fmt::format("<{}@example.org>", i),
                   .mta_refused = true,
                   .mta_status = "5.1.1",
                   .mta_text = "550 5.1.1 User unknown"},
                  office.clock.now(), ignore);
  }
  session->abort(office.clock.now());
  office.hear_all();
  EXPECT_EQ(office.rankings.first(10, office.clock.now()).clients.at(0).refused, 3);
  EXPECT_NE(office.records.json.front().find("\"reply\":{\"code\":550,\"enhanced\":\"5.1.1\""), std::string::npos)
      << office.records.json.front();
}

TEST(Metrics, LabelsThatDifferStayApart) {
  Office office(kPolicy);
  office.health.noticed("a\xff", "nothing");
  office.health.noticed("a\xfe", "nothing");
  office.health.noticed("b\xc3\xbc", "nothing");
  const std::string text = metrics_text(*office.desk);
  EXPECT_NE(text.find("cause=\"a\\\\xff\""), std::string::npos) << text;
  EXPECT_NE(text.find("cause=\"a\\\\xfe\""), std::string::npos);
  EXPECT_NE(text.find("cause=\"b\xc3\xbc\""), std::string::npos);
}

TEST(Status, AReloadThatWasNotTakenIsTroubleAndServesAllTheSame) {
  Office office(kPolicy);
  office.write_policy("[[rule]]\nname = \"r\"\nrepyl = 554\n");
  office.keeper.reload();
  EXPECT_NE(
      trouble_of(*office.desk).find("the last reload was rejected, and the previous policy stays in force: error[RG"),
      std::string::npos)
      << trouble_of(*office.desk);
  EXPECT_EQ(why_not_ready(*office.desk), "");
}

TEST(Status, NamesTheTrouble) {
  Office office(kPolicy);
  EXPECT_EQ(trouble_of(*office.desk), "");
  office.health.failed("disk full", "nothing");
  EXPECT_EQ(trouble_of(*office.desk), "store: disk full");
  office.traffic.starve(true);
  EXPECT_EQ(trouble_of(*office.desk), "no more connections can be accepted");
  office.traffic.close(true);
  EXPECT_EQ(trouble_of(*office.desk), "draining: new sessions are turned away");
}

}  // namespace
}  // namespace replygate

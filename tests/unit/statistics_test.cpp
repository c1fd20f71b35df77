#include "milter/serve/statistics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "milter/door/latency.h"
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
  Latency latency;
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

TEST(Statistics, CountRulesAndWhatBecameOfRecipients) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org", "4@example.org", "5@example.org"});
  office.send("spy@b.example", {"1@example.org"});
  const Statistics::Figures f = office.statistics.figures();
  EXPECT_EQ(f.recipients.at("passed"), 5);
  EXPECT_EQ(f.recipients.at("refused"), 1);
  EXPECT_EQ(f.transactions.at("accepted"), 2);
  EXPECT_EQ(f.refusals.at({"quota", "rcpt", 452, "quota-exceeded"}), 1);
  EXPECT_EQ(f.observed.at({"watched", "mail", 554, "access-denied"}), 1);
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
  EXPECT_NE(text.find("cause=\"a\\\"} 1?forged{b=\\\"c\\\\\""), std::string::npos) << text;
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

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/scenario/census.h"
#include "policy/scenario/proposal.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr Instant kMonday{hours(24 * 20000)};

TEST(Demand, APeakIsWhatAWindowHolds) {
  DemandMeter meter{Duration(hours(1))};
  for (int i = 0; i < 120; ++i) meter.add("a", kMonday + minutes(i), 1);
  meter.each([](const std::string& key, const KeyDemand& demand) {
    EXPECT_EQ(key, "a");
    // Of one slot too much, never too little.
    EXPECT_GE(demand.most, 60);
    EXPECT_LE(demand.most, 61);
  });
}

TEST(Demand, UsualIsWhatComesAgain) {
  DemandMeter meter{Duration(hours(1))};
  meter.add("weekly", kMonday, 900);
  meter.add("weekly", kMonday + hours(24 * 7), 1000);
  meter.add("a night", kMonday + hours(23), 900);
  meter.add("a night", kMonday + hours(25), 900);
  meter.add("a night", kMonday + hours(24 * 5), 7);
  meter.add("once", kMonday, 5);
  std::map<std::string, std::int64_t> usual;
  meter.each([&](const std::string& key, const KeyDemand& demand) { usual[key] = demand.usual(); });
  EXPECT_EQ(usual, (std::map<std::string, std::int64_t>{{"weekly", 900}, {"a night", 7}, {"once", 0}}));
}

TEST(Demand, KeysAreBounded) {
  DemandMeter meter{Duration(hours(1))};
  for (std::size_t i = 0; i < DemandMeter::kMostKeys + 7; ++i) meter.add(std::to_string(i), kMonday, 1);
  EXPECT_EQ(meter.keys(), DemandMeter::kMostKeys);
  EXPECT_EQ(meter.left_out(), 7);
}

TEST(Proposals, NumbersArePeoplesNumbers) {
  EXPECT_EQ(round_up(1), 10);
  EXPECT_EQ(round_up(11), 15);
  EXPECT_EQ(round_up(42), 50);
  EXPECT_EQ(round_up(81), 100);
  EXPECT_EQ(round_up(8100), 10000);
  EXPECT_EQ(round_up(100000), 100000);
}

// Thirty who send some ten an hour on weekdays.
DemandMeter an_office() {
  DemandMeter meter{Duration(hours(1))};
  for (int day = 0; day < 20; ++day) {
    for (int user = 0; user < 30; ++user) {
      meter.add(fmt::format("user{}", user), kMonday + hours(24 * day + 9), 5 + (user + day) % 6);
    }
    if (day % 7 == 1) meter.add("news", kMonday + hours(24 * day + 10), 4000);
    if (day == 13) meter.add("user3", kMonday + hours(24 * day + 10), 700);
  }
  return meter;
}

TEST(Proposals, BulkIsNamedAndABurstIsNot) {
  const auto proposal = propose(an_office(), 2);
  ASSERT_TRUE(proposal);
  EXPECT_EQ(proposal->limit, 20);
  ASSERT_EQ(proposal->overrides.size(), 1U);
  EXPECT_EQ(proposal->overrides[0].key, "news");
  EXPECT_EQ(proposal->overrides[0].limit, 8000);
  ASSERT_EQ(proposal->bursts.size(), 1U);
  EXPECT_EQ(proposal->bursts[0].key, "user3");
  EXPECT_EQ(proposal->bursts[0].usual, 10);
  EXPECT_GE(proposal->bursts[0].most, 700);
}

TEST(Proposals, WhatALimitHadRefusedIsSaid) {
  DemandMeter meter = an_office();
  meter.cap("user5");
  EXPECT_EQ(propose(meter, 2)->capped, 1U);
}

// Nobody could do it again: what was sent is all that is known.
TEST(Proposals, OfADayOrTwoAreWhatWasSent) {
  for (const int days : {1, 2, 3}) {
    DemandMeter meter{Duration(hours(1))};
    for (int user = 0; user < 20; ++user) {
      for (int day = 0; day < days; ++day) meter.add(fmt::format("user{}", user), kMonday + hours(24 * day + 9), 200);
    }
    meter.add("thief", kMonday + hours(10), 9000);
    meter.add("a test", kMonday - hours(24 * 30), 1);
    const auto proposal = propose(meter, 2);
    ASSERT_TRUE(proposal);
    EXPECT_EQ(proposal->brief, days < 3);
    EXPECT_EQ(proposal->limit, 400);
    EXPECT_TRUE(proposal->overrides.empty());
    ASSERT_EQ(proposal->bursts.size(), 1U);
    EXPECT_EQ(proposal->bursts[0].key, "thief");
  }
}

TEST(Proposals, FewKeysTellNothing) {
  DemandMeter meter{Duration(hours(1))};
  for (int i = 0; i < 9; ++i) meter.add(std::to_string(i), kMonday, 1);
  EXPECT_FALSE(propose(meter, 2));
}

PastTransaction mail_of(std::string user, std::string sender, int recipients) {
  PastTransaction t;
  t.time = kMonday;
  t.client_ip = "192.0.2.7";
  t.user = std::move(user);
  t.sender = std::move(sender);
  t.recipients.resize(static_cast<std::size_t>(recipients));
  return t;
}

TEST(Censuses, CountALoginOnceAndWhatPassedAlone) {
  Census census;
  census.take(mail_of("Alice@Office.example", "x@office.example", 3));
  census.take(mail_of("", "B@far.example", 2));
  PastTransaction refused = mail_of("bob", "b@office.example", 2);
  refused.recipients[0].answer = {452, "quota", false, true};
  census.take(refused);
  PastTransaction aborted = mail_of("carol", "c@office.example", 2);
  aborted.ending = Ending::aborted;
  census.take(aborted);
  std::map<std::string, std::int64_t> seen;
  std::vector<std::string> capped;
  for (const KeyKind kind : kKeyKinds) {
    census.meter(kind, 0).each([&](const std::string& key, const KeyDemand& demand) {
      seen[key] = demand.most;
      if (demand.capped) capped.push_back(key);
    });
  }
  EXPECT_EQ(seen, (std::map<std::string, std::int64_t>{
                      {"alice@office.example", 3}, {"bob", 1}, {"b@far.example", 2}, {"192.0.2.0/24", 2}}));
  EXPECT_EQ(capped, std::vector<std::string>{"bob"});
}

}  // namespace
}  // namespace replygate

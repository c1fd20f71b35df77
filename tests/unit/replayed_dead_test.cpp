// Who is dead while mail is played again.

#include <gtest/gtest.h>

#include "policy/scenario/replayed_dead.h"

namespace replygate {
namespace {

using std::chrono::hours;

constexpr Instant kBegin{hours(490000)};

OutcomeSettings two_days() {
  OutcomeSettings settings;
  settings.dead_within = hours(24);
  settings.dead_for = hours(48);
  return settings;
}

TEST(ReplayedDead, IsForgottenAsTheDaemonForgets) {
  ReplayedDead dead(two_days());
  dead.pass(kBegin);
  dead.bounced("a@far.example", kBegin, true);
  EXPECT_EQ(dead.is_dead("a@far.example", kBegin), true);
  EXPECT_EQ(dead.is_dead("b@far.example", kBegin), std::nullopt);
  dead.pass(kBegin + hours(49));
  EXPECT_EQ(dead.size(), 0U);
  EXPECT_EQ(dead.is_dead("a@far.example", kBegin + hours(49)), false);
  EXPECT_EQ(dead.is_dead("b@far.example", kBegin + hours(49)), false);
}

TEST(ReplayedDead, IsBounded) {
  ReplayedDead dead(two_days(), 2);
  for (const char* address : {"a@far.example", "b@far.example", "c@far.example"}) {
    dead.pass(kBegin);
    dead.bounced(address, kBegin, true);
  }
  dead.bounced("b@far.example", kBegin + hours(1), true);
  dead.bounced("a@far.example", kBegin + hours(1), true);
  dead.pass(kBegin + hours(1));
  EXPECT_EQ(dead.size(), 2U);
  EXPECT_EQ(dead.is_dead("c@far.example", kBegin + hours(1)), false);
  EXPECT_EQ(dead.is_dead("a@far.example", kBegin + hours(1)), true);
  EXPECT_EQ(dead.is_dead("z@far.example", kBegin + hours(1)), false);  // from before the begin: it went first
}

TEST(ReplayedDead, WhatWasNotHeardContradictsTheRecord) {
  ReplayedDead dead(two_days());
  dead.pass(kBegin);
  dead.bounced("a@far.example", kBegin, false);
  dead.bounced("b@far.example", kBegin, true);
  dead.delivered("b@far.example", kBegin);
  EXPECT_EQ(dead.is_dead("a@far.example", kBegin), false);
  EXPECT_EQ(dead.is_dead("b@far.example", kBegin), false);
  dead.pass(kBegin + hours(49));
  dead.bounced("a@far.example", kBegin + hours(49), false);
  EXPECT_EQ(dead.size(), 0U);
}

}  // namespace
}  // namespace replygate

// Limits as a session sees them: reservation, settlement, scopes, keys and overrides.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/scenario/player.h"
#include "tests/support/limits.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

TEST(Limits, AreExactAndComeBack) {
  World world(limit_rule("per = \"user\"\nlimit = \"5 recipients / 1h\""));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(sends(world, "carol@ours.example"));
  EXPECT_FALSE(sends(world, "carol@ours.example"));
  EXPECT_TRUE(sends(world, "dave@ours.example"));
  world.pass(hours(1));
  EXPECT_FALSE(sends(world, "carol@ours.example"));
  world.pass(std::chrono::seconds(36));
  EXPECT_TRUE(sends(world, "carol@ours.example"));
}

TEST(Limits, TheReplySaysWhenToTryAgain) {
  World world(limit_rule("per = \"user\"\nlimit = \"1 recipients / 1h\"",
                         "{ class = \"quota-exceeded\", text = \"{used} of {limit}; again in {retry_after}\" }"));
  EXPECT_TRUE(sends(world, "carol@ours.example"));
  world.pass(minutes(20));
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.mail("<c@ours.example>", "carol@ours.example");
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "452 4.7.1 1 of 1 recipients / 1h; again in 41m");
}

TEST(Limits, ExcessRecipientsAreRefusedOneByOne) {
  World world(limit_rule("per = \"user\"\nlimit = \"3 recipients / 1h\""));
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.mail("<c@ours.example>", "carol");
  int kept = 0;
  for (int i = 0; i < 10; ++i) kept += talk.rcpt("<r@x.example>").empty() ? 1 : 0;
  EXPECT_EQ(kept, 3);
  EXPECT_EQ(talk.end(), "");
}

TEST(Limits, WhatIsAbortedIsReturned) {
  World world(limit_rule("per = \"user\"\nlimit = \"2 recipients / 1h\""));
  for (int i = 0; i < 10; ++i) {
    Talk talk(world);
    talk.connect("203.0.113.5");
    talk.mail("<c@ours.example>", "carol");
    EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
    EXPECT_EQ(talk.rcpt("<s@x.example>"), "");
    EXPECT_NE(talk.rcpt("<t@x.example>"), "");
    talk.abort();
    EXPECT_EQ(world.store.reservations(), 0U);
  }
}

TEST(Limits, ANewMailReturnsWhatTheOpenOneHeld) {
  World world(limit_rule("per = \"user\"\nlimit = \"1 recipients / 1h\""));
  Talk talk(world);
  talk.connect("203.0.113.5");
  for (int i = 0; i < 3; ++i) {
    talk.mail("<c@ours.example>", "carol");
    EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
  }
  EXPECT_EQ(talk.end(), "");
  talk.mail("<c@ours.example>", "carol");
  EXPECT_NE(talk.rcpt("<r@x.example>"), "");
}

TEST(Limits, ReservedRoomIsNotGivenTwice) {
  World world(limit_rule("per = \"user\"\nlimit = \"1 recipients / 1h\""));
  Talk one(world);
  one.connect("203.0.113.5");
  one.mail("<c@ours.example>", "carol");
  EXPECT_EQ(one.rcpt("<r@x.example>"), "");
  EXPECT_FALSE(sends(world, "carol"));
  one.abort();
  EXPECT_TRUE(sends(world, "carol"));
}

TEST(Limits, AttemptsCountWhateverWasTried) {
  World world(limit_rule("per = \"client_ip\"\nlimit = \"3 messages / 1h\"\ncount = \"attempts\""));
  for (int i = 0; i < 3; ++i) {
    Talk talk(world);
    talk.connect("203.0.113.5");
    EXPECT_EQ(talk.mail("<c@ours.example>"), "");
    talk.abort();
  }
  EXPECT_FALSE(sends(world, "carol"));
  world.pass(minutes(50));
  EXPECT_FALSE(sends(world, "carol"));
  world.pass(minutes(11));
  EXPECT_TRUE(sends(world, "carol"));  // two attempts of the last hour are counted
  EXPECT_FALSE(sends(world, "carol") && sends(world, "carol"));
}

TEST(Limits, WhatWasAdmittedCountsThoughItIsAborted) {
  World world(limit_rule("per = \"client_ip\"\nlimit = \"2 recipients / 1h\"\ncount = \"admitted\""));
  for (int i = 0; i < 2; ++i) {
    Talk talk(world);
    talk.connect("203.0.113.5");
    talk.mail("<c@ours.example>");
    EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
    talk.abort();
  }
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(sends(world, "carol"));
  world.pass(minutes(61));  // what was refused has not counted
  EXPECT_TRUE(sends(world, "carol"));
  EXPECT_EQ(world.store.reservations(), 0U);
}

TEST(Limits, WhatWasAdmittedCountsThoughALaterRuleRefuses) {
  const std::string closed = "[[rule]]\nname = \"closed\"\nwhen = { recipient = \"no@x.example\" }\nreply = 550\n";
  World world(limit_rule("per = \"client_ip\"\nlimit = \"3 recipients / 1h\"\ncount = \"admitted\"") + closed);
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.mail("<c@ours.example>");
  EXPECT_TRUE(talk.rcpt("<no@x.example>").starts_with("550"));
  EXPECT_TRUE(talk.rcpt("<no@x.example>").starts_with("550"));
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
  EXPECT_TRUE(talk.rcpt("<no@x.example>").starts_with("452"));
  EXPECT_TRUE(talk.rcpt("<r@x.example>").starts_with("452"));
}

TEST(Limits, WhatALaterLimitRefusesCountsWhereItWasAdmitted) {
  const std::string second =
      "[[rule]]\nname = \"second\"\nper = \"recipient\"\nlimit = \"1 recipients / 1h\"\ncount = \"admitted\"\nreply = "
      "550\n";
  World world(limit_rule("per = \"client_ip\"\nlimit = \"3 recipients / 1h\"\ncount = \"admitted\"") + second);
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.mail("<c@ours.example>");
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
  EXPECT_TRUE(talk.rcpt("<r@x.example>").starts_with("550"));
  EXPECT_TRUE(talk.rcpt("<r@x.example>").starts_with("550"));
  EXPECT_TRUE(talk.rcpt("<s@x.example>").starts_with("452"));  // and nothing of it counts for s@
  world.pass(minutes(61));
  talk.abort();
  talk.mail("<c@ours.example>");
  EXPECT_EQ(talk.rcpt("<s@x.example>"), "");
}

TEST(Limits, AllOfThemHaveRoomOrNoneIsCharged) {
  World world(limit_rule("per = \"user\"\nlimit = [\"2 recipients / 1h\", \"3 recipients / 1d\"]"));
  EXPECT_TRUE(sends(world, "carol"));
  EXPECT_TRUE(sends(world, "carol"));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(sends(world, "carol"));  // refused by the hour, the day is not charged
  world.pass(hours(2));
  EXPECT_TRUE(sends(world, "carol"));
  world.pass(hours(2));
  EXPECT_FALSE(sends(world, "carol"));
}

TEST(Limits, OneRefusalChargesNoOtherRule) {
  World world(R"(
[[rule]]
name = "wide"
per = "client_ip"
limit = "2 recipients / 1h"
reply = "rate-limited"
[[rule]]
name = "narrow"
when = { recipient_local = "no" }
reply = 550
)");
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(talk.rcpt("<no@x.example>").substr(0, 3), "550");
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<b@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<no@x.example>").substr(0, 3), "451");  // the earlier rule has no room now
}

TEST(Limits, MessagesAreCountedOnceEach) {
  World world(limit_rule("per = \"recipient_domain\"\nlimit = \"2 messages / 1h\""));
  for (int message = 0; message < 2; ++message) {
    Talk talk(world);
    talk.stranger();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
    EXPECT_EQ(talk.rcpt("<r@y.example>"), "");
    EXPECT_EQ(talk.end(), "");
  }
  Talk talk(world);
  talk.stranger();
  EXPECT_NE(talk.rcpt("<r@x.example>"), "");
  EXPECT_NE(talk.rcpt("<r@y.example>"), "");
  EXPECT_EQ(talk.rcpt("<r@z.example>"), "");
}

TEST(Limits, MessageAndSessionNeedNoStore) {
  World world(R"(
[[rule]]
name = "a-message"
per = "recipient_domain"
limit = "2 recipients / message"
reply = "too-many-recipients"
[[rule]]
name = "a-session"
limit = "2 messages / session"
reply = "too-many-messages"
)");
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(talk.mail("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<s@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<t@x.example>").substr(0, 3), "453");
  EXPECT_EQ(talk.rcpt("<t@y.example>"), "");
  talk.abort();  // gives its message back
  EXPECT_EQ(talk.mail("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
  EXPECT_EQ(talk.end(), "");
  EXPECT_EQ(talk.mail("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
  EXPECT_EQ(talk.end(), "");
  EXPECT_EQ(talk.mail("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<r@x.example>").substr(0, 3), "453");
  EXPECT_EQ(world.store.counters(), 0U);
}

TEST(Limits, BytesAreThoseThatCame) {
  World world(limit_rule("per = \"sender\"\nlimit = \"1000 B / 1h\""));
  const auto send = [&](std::int64_t octets) {
    Talk talk(world);
    talk.stranger("<a@x.example>");
    talk.rcpt("<r@x.example>");
    talk.content(octets);
    return talk.end();
  };
  EXPECT_EQ(send(600), "");
  EXPECT_EQ(send(401).substr(0, 9), "452 4.7.1");
  EXPECT_EQ(send(400), "");
  // What can never fit is refused for good.
  EXPECT_EQ(send(1001), "552 5.3.4 Message of 1001 bytes can never fit the limit of 1 kB / 1h");
}

TEST(Limits, UnitsOfSeveralStagesStandInOneRule) {
  World world(R"(
[[rule]]
name = "all"
per = "client_ip"
limit = ["3 connections / 1h", "3 messages / 1h", "2 recipients / 1h", "1000 B / 1h"]
reply = "rate-limited"
[rule.override]
"198.51.100.1" = ["1 connections / 1h", "5 recipients / 1h"]
)");
  EXPECT_EQ(world.policy->named_rules(), 1U);
  EXPECT_EQ(world.policy->rules().size(), 4U);
  const auto send = [&](const char* ip, int recipients, std::int64_t octets) {
    Talk talk(world);
    talk.connect(ip);
    EXPECT_EQ(talk.mail("<a@x.example>"), "");
    int kept = 0;
    for (int i = 0; i < recipients; ++i) kept += talk.rcpt("<r@x.example>").empty() ? 1 : 0;
    talk.content(octets);
    const std::string end = kept == 0 ? "none" : talk.end().substr(0, 3);
    talk.abort();
    return std::to_string(kept) + " " + end;
  };
  EXPECT_EQ(send("203.0.113.5", 1, 600), "1 ");
  EXPECT_EQ(send("203.0.113.5", 1, 600), "1 451");  // the bytes are full; the recipient is given back
  EXPECT_EQ(send("203.0.113.5", 2, 100), "1 ");
  EXPECT_EQ(send("203.0.113.5", 1, 100), "0 none");    // the fourth connection
  EXPECT_EQ(send("198.51.100.1", 5, 99999), "5 552");  // its override names no bytes: the rule's own limit holds
  EXPECT_EQ(send("198.51.100.1", 1, 1), "0 none");
}

TEST(Limits, ALimitOfNothingRefusesForGood) {
  World world(limit_rule("per = \"user\"\nlimit = \"0 recipients / 1h\""));
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.mail("<c@ours.example>", "carol");
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "554 5.7.1 Refused for good: the limit is 0 recipients / 1h");
}

TEST(Limits, ConnectionsAreRefusedWithTheirRecipients) {
  World world(limit_rule("per = \"client_net\"\nlimit = \"2 connections / 1m\"", "\"rate-limited\""));
  const auto connect = [&](const char* ip) {
    Talk talk(world);
    talk.connect(ip);
    EXPECT_EQ(talk.mail("<a@x.example>"), "");
    return talk.rcpt("<r@x.example>");
  };
  EXPECT_EQ(connect("203.0.113.5"), "");
  EXPECT_EQ(connect("203.0.113.99"), "");
  EXPECT_EQ(connect("203.0.113.7").substr(0, 3), "451");
  EXPECT_EQ(connect("203.0.114.7"), "");
  EXPECT_EQ(connect("2001:db8::1"), "");
  EXPECT_EQ(connect("2001:db8::2"), "");
  EXPECT_EQ(connect("2001:db8::3").substr(0, 3), "451");
  EXPECT_EQ(connect("2001:db8:0:1::3"), "");
}

TEST(Limits, AnEmptyKeyMeansThatTheRuleDoesNotApply) {
  World world(limit_rule("per = [\"user\", \"recipient\"]\nlimit = \"1 recipients / 1h\""));
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
}

TEST(Limits, WithoutALimitAnEmptyKeyChangesNoMoreThanItsOwn) {
  const auto reply = [](std::string_view more) {
    World world("[[rule]]\nname = \"r\"\nwhen = { recipient_local = \"no\" }\nper = \"user\"\nreply = 550\n" +
                std::string(more));
    Talk talk(world);
    talk.stranger();
    talk.rcpt("<no@x.example>");
    return talk.rcpt("<no@x.example>").substr(0, 3);
  };
  EXPECT_EQ(reply("escalate = { after = \"1 refusals / 1h\", reply = 554 }\n"), "550");
  EXPECT_EQ(reply("share = \"99.9%\"\n"), "");
}

TEST(Limits, KeysOfSeveralFactsDoNotRunTogether) {
  World world(limit_rule("per = [\"sender_local\", \"recipient_local\"]\nlimit = \"1 recipients / 1h\""));
  const auto send = [&](const char* sender, const char* recipient) {
    Talk talk(world);
    talk.stranger(sender);
    const std::string reply = talk.rcpt(recipient);
    talk.end();
    return reply.empty();
  };
  EXPECT_TRUE(send("<a|b@x.example>", "<c@x.example>"));
  EXPECT_TRUE(send("<a@x.example>", "<b|c@x.example>"));
  EXPECT_FALSE(send("<A@x.example>", "<B|c@x.example>"));
}

TEST(Limits, TagsShareAKeyIfAsked) {
  World world("[keys]\nsubaddress = \"+\"\n" + limit_rule("per = \"recipient\"\nlimit = \"1 recipients / 1h\""));
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<r+one@x.example>"), "");
  EXPECT_NE(talk.rcpt("<r+two@x.example>"), "");
  EXPECT_NE(talk.rcpt("<r@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<+r@x.example>"), "");
}

TEST(Limits, PostmasterOfOursIsNeverRefusedByALimit) {
  World world(limit_rule("per = \"recipient\"\nlimit = \"1 recipients / 1h\""));
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(talk.rcpt("<postmaster@ours.example>"), "");
    EXPECT_EQ(talk.rcpt("<Postmaster>"), "");
  }
  EXPECT_EQ(talk.rcpt("<postmaster@x.example>"), "");
  EXPECT_NE(talk.rcpt("<postmaster@x.example>"), "");
}

TEST(Limits, ObservedLimitsCountByThemselves) {
  World world(R"(
[[rule]]
name = "trial"
mode = "observe"
per = "user"
limit = "1 recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "real"
per = "user"
limit = "3 recipients / 1h"
reply = "quota-exceeded"
)");
  int sent = 0;
  while (sent < 10 && sends(world, "carol")) ++sent;
  EXPECT_EQ(sent, 3);
  EXPECT_EQ(world.records.json[0].find("\"observed\""), std::string::npos);
  EXPECT_NE(world.records.json[1].find("\"observed\""), std::string::npos);
}

TEST(Limits, LocalSubmissionIsCountedAndNeverRefused) {
  World world(limit_rule("per = \"sender\"\nlimit = \"2 recipients / 1h\""));
  Talk local(world);
  local.local_submission();
  local.mail("www@ours.example");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(local.rcpt("r@x.example"), "");
  EXPECT_EQ(local.end(), "");
  EXPECT_NE(world.records.json.front().find("\"mode\":\"counting-only\""), std::string::npos);
  Talk talk(world);
  talk.stranger("<www@ours.example>");
  EXPECT_EQ(talk.rcpt("<r@x.example>").substr(0, 3), "452");
  talk.abort();
  EXPECT_NE(world.records.json.back().find("\"used\":5"), std::string::npos);
}

TEST(Limits, EditingALimitKeepsWhatWasUsed) {
  World before(limit_rule("per = \"user\"\nlimit = \"5 recipients / 1h\""));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(sends(before, "carol"));
  before.policy = policy_from(limit_rule("per = \"user\"\nlimit = \"6 recipients / 1h\""));
  EXPECT_TRUE(sends(before, "carol"));
  EXPECT_TRUE(sends(before, "carol"));
  EXPECT_FALSE(sends(before, "carol"));
}

TEST(Limits, ASessionEndsWithThePolicyThatItBeganWith) {
  World world("[[rule]]\nname = \"r\"\nwhen = { recipient_local = \"a\" }\nreply = 550\n");
  Talk talk(world);
  talk.stranger();
  world.policy = policy_from("");
  EXPECT_EQ(talk.rcpt("<a@x.example>").substr(0, 3), "550");
}

TEST(Limits, AnotherDoorLeavesThemAlone) {
  World world(limit_rule("limit = \"0 recipients / 1h\""));
  Talk talk(world, {.name = "policy_service", .counters = false, .beyond = 0});
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<r@x.example>"), "");
}

// What a limit has let pass counts though a later rule refuses it, be the limit observed or not.
TEST(Admitted, CountsWhatALaterRuleRefuses) {
  for (const std::string_view mode : {"enforce", "observe"}) {
    const auto policy = policy_from(
        fmt::format("[[rule]]\nname = \"a\"\nper = \"sender\"\nlimit = \"1 recipients / 1h\"\ncount = "
                    "\"admitted\"\nmode = \"{}\"\nreply = "
                    "452\n[[rule]]\nname = \"b\"\nwhen = {{ recipient = \"bad@x.example\" }}\nreply = 550\n",
                    mode));
    Player player(policy);
    Given given;
    given.from = "s@y.example";
    const Instant now(std::chrono::hours(490000));
    EXPECT_EQ(player.play(given, {"bad@x.example"}, now).recipients.front().rule, "b") << mode;
    const Played second = player.play(given, {"good@x.example"}, now);
    const bool observed = mode == "observe";
    EXPECT_EQ(second.recipients.front().rule, observed ? "" : "a") << mode;
    EXPECT_EQ(second.observed.size(), observed ? 1U : 0U) << mode;
  }
}

TEST(Admitted, AnObservedLimitOfTheSessionReturnsWhatIsAborted) {
  World world(
      "[[rule]]\nname = \"a\"\nlimit = \"1 recipients / session\"\ncount = \"admitted\"\nmode = \"observe\"\n"
      "reply = 452\n");
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 3; ++i) {
    talk.rcpt("<r@x.example>");
    talk.mail("<someone@elsewhere.example>");
    EXPECT_NE(world.records.json.back().find("\"used\":0"), std::string::npos) << world.records.json.back();
  }
}

}  // namespace
}  // namespace replygate::test

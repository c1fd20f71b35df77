// What is decided before the recipients are known, and waits for them.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/mail/quantity.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kOurs = "[site]\nlocal_domains = [\"ours.example\"]\n";

std::string rule_of(std::string_view keys) { return fmt::format("{}[[rule]]\nname = \"r\"\n{}\n", kOurs, keys); }

// What becomes of a message to these.
std::string send(World& world, const std::vector<std::string>& recipients,
                 std::string sender = "<someone@elsewhere.example>") {
  Talk talk(world);
  talk.stranger(std::move(sender));
  for (const std::string& recipient : recipients) {
    if (std::string refusal = talk.rcpt(recipient); !refusal.empty()) return refusal;
  }
  return talk.end();
}

TEST(Waiting, WhatALimitDoesIsNotDoneToPostmaster) {
  for (const std::string_view limit : {"1 messages / 1h", "1 connections / 1h"}) {
    for (const std::string_view action : {"discard = true", "hold = \"why\""}) {
      World world(rule_of(fmt::format("per = \"client_ip\"\nlimit = \"{}\"\n{}", limit, action)));
      const std::string done = action.starts_with("hold") ? "hold: why" : "discard";
      EXPECT_EQ(send(world, {"<a@ours.example>"}), "");
      EXPECT_EQ(send(world, {"<postmaster@ours.example>"}), "") << limit << action;
      EXPECT_EQ(world.records.json.back().find(fmt::format("\"{}\"", action.substr(0, 4))), std::string::npos);
      EXPECT_EQ(send(world, {"<a@ours.example>"}), done) << limit;
      EXPECT_EQ(send(world, {"<postmaster@ours.example>", "<a@ours.example>"}), done) << limit;
      EXPECT_EQ(send(world, {"<a@ours.example>", "<postmaster>"}), done) << limit;
    }
  }
}

TEST(Waiting, AMessageForPostmasterIsNotCounted) {
  for (const std::string_view period : {"1h", "day", "session"}) {
    World world(rule_of(fmt::format("per = \"client_ip\"\nlimit = \"1 messages / {}\"\nreply = 450", period)));
    Talk talk(world);
    talk.stranger();
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(talk.rcpt("<postmaster@ours.example>"), "");
      EXPECT_EQ(talk.end(), "");
      talk.mail("<x@y.example>");
    }
    EXPECT_EQ(talk.rcpt("<a@ours.example>"), "") << period;
    EXPECT_EQ(talk.end(), "");
    talk.mail("<x@y.example>");
    EXPECT_NE(talk.rcpt("<a@ours.example>"), "") << period;
    talk.abort();
    EXPECT_EQ(world.store.reservations(), 0U);
  }
}

// The limit's `hold` keeps the rules behind it from all but postmaster.
TEST(Waiting, WhatALimitAcceptsIsAcceptedForTheOthers) {
  World world(rule_of("per = \"client_ip\"\nlimit = \"1 messages / 1h\"\nhold = \"why\"") +
              "[[rule]]\nname = \"s\"\nwhen = { recipients = \"> 0\" }\nreply = 550\n");
  EXPECT_EQ(send(world, {"<a@ours.example>"}).substr(0, 3), "550");
  Talk first(world);
  first.stranger();
  EXPECT_EQ(send(world, {"<a@ours.example>"}), "hold: why");
  EXPECT_EQ(send(world, {"<postmaster@ours.example>"}).substr(0, 3), "550");
}

// What stands behind such a limit and is known at MAIL is asked for postmaster, too, whatever had it full.
TEST(Waiting, WhatALimitHoldsIsJudgedOnForPostmaster) {
  for (const std::string_view limit : {"1 messages / 1h", "1 connections / 1h"}) {
    World world(rule_of(fmt::format("per = \"client_ip\"\nlimit = \"{}\"\nhold = \"why\"", limit)) +
                "[[rule]]\nname = \"s\"\nwhen = { sender_domain = \"y.example\" }\nreply = 550\n"
                "[[rule]]\nname = \"q\"\nwhen = { sender_domain = \"z.example\" }\nhold = \"other\"\n");
    EXPECT_EQ(send(world, {"<a@ours.example>"}), "");
    EXPECT_EQ(send(world, {"<postmaster@ours.example>"}, "<a@y.example>").substr(0, 3), "550") << limit;
    EXPECT_EQ(send(world, {"<a@ours.example>"}, "<a@y.example>"), "hold: why") << limit;
    EXPECT_EQ(send(world, {"<postmaster@ours.example>"}, "<a@z.example>"), "hold: other") << limit;
    EXPECT_EQ(send(world, {"<postmaster@ours.example>"}), "") << limit;
    EXPECT_EQ(world.store.reservations(), 0U);
  }
}

// A session is one connection, whomever its first message is for.
TEST(Waiting, ASessionForPostmasterIsAConnection) {
  for (const std::string_view more : {"", "when = { helo = \"*\" }\n"}) {
    World world(rule_of(fmt::format("{}per = \"client_ip\"\nlimit = \"1 connections / 1h\"\nhold = \"why\"", more)));
    Talk talk(world);
    talk.stranger();
    EXPECT_EQ(talk.rcpt("<postmaster@ours.example>"), "");
    EXPECT_EQ(talk.end(), "");
    EXPECT_EQ(send(world, {"<a@ours.example>"}), "hold: why") << more;
  }
}

// A full limit that holds the mail ends the decision: what stands before it counts the mail, what stands behind it
// neither does nor keeps the others from it.
TEST(Waiting, WhatIsHeldCountsForTheRulesBefore) {
  for (const std::string_view behind : {"limit = \"1 messages / 1h\"", "limit = \"1 messages / session\"",
                                        "when = { sender_domain = \"y.example\" }", "limit = \"9 messages / 1h\""}) {
    World world(
        fmt::format("{}[[rule]]\nname = \"all\"\nper = \"client_ip\"\nlimit = \"3 messages / 1h\"\nreply = 450\n"
                    "[[rule]]\nname = \"held\"\nper = \"client_ip\"\nlimit = \"1 messages / 1h\"\nhold = \"why\"\n"
                    "[[rule]]\nname = \"last\"\n{}\nreply = 554\n",
                    kOurs, behind));
    EXPECT_EQ(send(world, {"<a@ours.example>"}), "") << behind;
    EXPECT_EQ(send(world, {"<a@ours.example>"}, "<x@y.example>"), "hold: why") << behind;
    EXPECT_EQ(send(world, {"<a@ours.example>"}, "<x@y.example>"), "hold: why") << behind;
    EXPECT_EQ(send(world, {"<a@ours.example>"}).substr(0, 3), "450") << behind;
    EXPECT_EQ(world.store.reservations(), 0U);
  }
}

TEST(Waiting, WhatGrowsIsLookedAtForEachRecipient) {
  World world(
      "[[rule]]\nname = \"r\"\nwhen = { recipient = \"no@\" }\nreply = 550\n"
      "[[rule]]\nname = \"many\"\nwhen = { refusals = \"> 1\" }\nreply = 421\n"
      "[[rule]]\nname = \"old\"\nwhen = { session_age = \"> 5m\" }\nreply = 451\n");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<yes@x.example>"), "");
  world.pass(std::chrono::minutes(6));
  EXPECT_EQ(talk.rcpt("<yes@x.example>").substr(0, 3), "451");
  EXPECT_EQ(talk.rcpt("<no@x.example>").substr(0, 3), "550");
  EXPECT_EQ(talk.rcpt("<yes@x.example>").substr(0, 3), "421");
}

TEST(Waiting, EachRefusalTakesTheStepThatIsReached) {
  for (const std::string_view unit : {"messages", "connections"}) {
    World world(
        rule_of(fmt::format("per = \"client_ip\"\nlimit = \"1 {} / 1h\"\nreply = 450\n"
                            "escalate = [{{ after = \"2 refusals / 1h\", reply = 550 }}, "
                            "{{ after = \"4 refusals / 1h\", reply = 554 }}]",
                            unit)));
    EXPECT_EQ(send(world, {"<a@ours.example>"}), "");
    Talk talk(world);
    talk.stranger();
    std::string codes;
    for (int i = 0; i < 6; ++i) codes += talk.rcpt("<a@ours.example>").substr(0, 3) + ' ';
    EXPECT_EQ(codes, "450 450 550 550 554 554 ") << unit;
    EXPECT_EQ(talk.rcpt("<postmaster@ours.example>"), "");
    world.pass(std::chrono::minutes(61));
    talk.mail("<x@y.example>");
    const std::string then = talk.rcpt("<a@ours.example>").substr(0, 3);
    EXPECT_EQ(then, unit == "messages" ? "" : "450");
  }
}

TEST(Waiting, ARefusalOfConnectTakesTheStepThatIsReached) {
  World world(
      rule_of("when = { client_ip = \"203.0.113.0/24\" }\nper = \"client_ip\"\nreply = 450\n"
              "escalate = [{ after = \"2 refusals / 1h\", reply = 550 }]"));
  Talk talk(world);
  talk.connect("203.0.113.5");
  std::string codes;
  for (int i = 0; i < 4; ++i) codes += talk.mail("<x@y.example>").substr(0, 3) + ' ';
  EXPECT_EQ(codes, "450 450 550 550 ");
}

TEST(Waiting, WhoComesWhenToldIsLetInThoughAttemptsCount) {
  World world(
      rule_of("per = \"client_ip\"\nlimit = \"1 messages / 1d\"\ncount = \"attempts\"\n"
              "reply = { code = 450, text = \"{retry_after}\" }"));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(send(world, {"<a@ours.example>"}), "") << i;
    world.pass(std::chrono::seconds(97));
    const std::string told = send(world, {"<a@ours.example>"});
    ASSERT_EQ(told.substr(0, 10), "450 4.7.1 ");
    const auto wait = parse_duration(told.substr(10));
    ASSERT_TRUE(wait) << told;
    EXPECT_LE(*wait, std::chrono::seconds(86400 + 864));
    world.pass(*wait);
    EXPECT_EQ(send(world, {"<a@ours.example>"}), "") << told;
    world.pass(std::chrono::hours(50));
  }
}

// What may have to wait is held with each of its steps.
TEST(Waiting, TheStepsOfARefusalAreCounted) {
  const Finding step{.reply = default_reply("rate-limited"), .rungs = {}};
  Verdict verdict;
  verdict.refusal = step;
  verdict.refusal->rungs = {step, step, step};
  EXPECT_GE(octets_of(verdict), 4 * Reply::kMostOctets);
}

}  // namespace
}  // namespace replygate::test

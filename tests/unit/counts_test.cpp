// What POLICY.md says of counting, sentence by sentence, where a count was once another.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/scenario/player.h"
#include "policy/scenario/smtp_script.h"
#include "tests/support/counts.h"

namespace replygate::test {
namespace {

TEST(Counts, ASessionOnceWhateverItGreets) {
  World world(std::string(kSite) +
              rule("r", "when = { helo = \"*\" }\nper = \"client_ip\"\nlimit = \"2 connections / 1h\""));
  Talk one(world);
  one.connect("203.0.113.5");
  for (const char* name : {"a.example", "b.example", "c.example"}) one.helo(name);
  one.mail("<a@x.example>");
  EXPECT_EQ(one.rcpt("<r@example.org>"), "");
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
  EXPECT_EQ(send(world, "<r@example.org>"), 451);
  one.helo("d.example");  // it is in already
  one.mail("<a@x.example>");
  EXPECT_EQ(one.rcpt("<r@example.org>"), "");
}

TEST(Counts, ASessionOnceThoughItsKeyChanges) {
  World world(std::string(kSite) + rule("r", "per = \"helo\"\nlimit = \"1 connections / 1h\""));
  Talk one(world);
  one.connect("203.0.113.5");
  one.helo("a.example");
  one.helo("b.example");
  one.mail("<a@x.example>");
  EXPECT_EQ(one.rcpt("<r@example.org>"), "");
  Talk other(world);
  other.connect("203.0.113.6");
  other.helo("b.example");
  other.mail("<a@x.example>");
  EXPECT_EQ(other.rcpt("<r@example.org>"), "");
}

// A session that was refused stays so: greeting again is no way in, and no second attempt.
TEST(Counts, ARefusedSessionStaysRefused) {
  World world(std::string(kSite) + rule("r",
                                        "when = { helo = \"*\" }\nper = \"client_ip\"\nlimit = \"1 connections / 1h\"\n"
                                        "count = \"attempts\"",
                                        told("{used}")));
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
  Talk talk(world);
  talk.connect("203.0.113.5");
  for (int i = 0; i < 3; ++i) {
    talk.helo();
    talk.mail("<a@x.example>");
    EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 1");
  }
  Talk last(world);
  last.connect("203.0.113.5");
  last.helo();
  last.mail("<a@x.example>");
  EXPECT_EQ(last.rcpt("<r@example.org>"), "451 4.7.28 2");
}

// An observed limit on sessions counts those that were let in, whoever else refused them.
TEST(Counts, ObservedSessionsAreThoseLetIn) {
  World world(std::string(kSite) +
              rule("trial", "mode = \"observe\"\nper = \"client_ip\"\nlimit = \"9 connections / 1h\"") +
              rule("real", "per = \"client_ip\"\nlimit = \"1 connections / 1h\""));
  for (int i = 0; i < 4; ++i) send(world, "<r@example.org>");
  EXPECT_NE(world.records.json.back().find("\"used\":1"), std::string::npos);
  EXPECT_EQ(world.records.json.back().find("\"used\":2"), std::string::npos);
  EXPECT_EQ(world.store.reservations(), 0U);
}

constexpr std::string_view kBan = "per = \"client_ip\"\nlimit = \"5 refusals / 1h\"\nat = \"connect\"";
constexpr std::string_view kBlocked = "when = { client_ip = \"203.0.113.5\" }\nat = \"connect\"";

TEST(Counts, RefusalsAreRepliesThatWereGiven) {
  World world(std::string(kSite) + rule("ban", kBan, told("banned after {used}")) + rule("blocked", kBlocked, "554"));
  for (int i = 0; i < 6; ++i) {
    Talk silent(world);
    EXPECT_EQ(silent.connect("203.0.113.5"), "");
  }
  Talk talk(world);
  talk.connect("203.0.113.5");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(code(talk.mail("<a@x.example>")), 554);
  Talk next(world);
  next.connect("203.0.113.5");
  EXPECT_EQ(next.mail("<a@x.example>"), "451 4.7.28 banned after 8");  // first of two that refuse
}

// Where the ban alone refuses it waits for the recipients.
TEST(Counts, ABannedClientIsRefusedForEachRecipient) {
  World world(std::string(kSite) + rule("ban", kBan) + rule("no", "when = { recipient_local = \"no\" }", "550"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(send(world, "<no@example.org>"), 550);
  EXPECT_EQ(send(world, "<yes@example.org>"), 451);
  EXPECT_EQ(send(world, "<postmaster@example.org>"), 250);
  EXPECT_EQ(send(world, "<yes@example.org>", "203.0.113.6"), 250);
}

TEST(Counts, EscalationCountsRepliesThatWereGiven) {
  World world(std::string(kSite) +
              rule("blocked",
                   std::string(kBlocked) + "\nper = \"client_ip\"\n"
                                           "escalate = { after = \"3 refusals / 1h\", reply = 550 }",
                   "451"));
  for (int i = 0; i < 5; ++i) Talk(world).connect("203.0.113.5");
  Talk talk(world);
  talk.connect("203.0.113.5");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(code(talk.mail("<a@x.example>")), 451);
  EXPECT_EQ(send(world, "<r@example.org>"), 550);
}

// A limit of nothing can never have room, for what it has counted neither; a step of escalation goes before that.
TEST(Counts, EscalationGoesBeforeWhatIsSaidForGood) {
  for (const int step : {421, 450, 550}) {
    for (const char* limit : {"0 recipients / 1h", "0 distinct_recipients / 1h"}) {
      World world(std::string(kSite) +
                  rule("r", fmt::format("per = \"client_ip\"\nlimit = \"{}\"\ncount = \"attempts\"\n"
                                        "escalate = {{ after = \"2 refusals / 1d\", reply = {} }}",
                                        limit, step)));
      const std::string for_good = fmt::format("554 5.7.1 Refused for good: the limit is {}", limit);
      Talk talk(world);
      talk.stranger();
      for (int i = 0; i < 2; ++i) EXPECT_EQ(talk.rcpt("<r@example.org>"), for_good);
      EXPECT_EQ(code(talk.rcpt("<r@example.org>")), step) << limit;
    }
  }
}

// A key that has escalated is still charged once it has room again.
TEST(Counts, EscalationKeepsNothingFromBeingCharged) {
  World world(std::string(kSite) + rule("r",
                                        "per = \"client_ip\"\nlimit = \"1 recipients / 1h\"\n"
                                        "escalate = { after = \"1 refusals / 1d\", reply = 550 }"));
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
  for (const int expected : {451, 550, 550}) EXPECT_EQ(send(world, "<r@example.org>"), expected);
  world.pass(hours(2));
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
  EXPECT_EQ(send(world, "<r@example.org>"), 550);
}

TEST(Counts, TheSecondDoorsRefusals) {
  World world(std::string(kSite) + rule("ban", "per = \"client_ip\"\nlimit = \"2 refusals / 1h\"") +
              rule("no", "when = { recipient_local = \"no\" }", "550"));
  for (int i = 0; i < 2; ++i) {
    Talk door(world, {.name = "policy_service", .counters = false, .early = false});
    door.stranger();
    EXPECT_EQ(code(door.rcpt("<no@example.org>")), 550);
  }
  EXPECT_EQ(send(world, "<yes@example.org>"), 451);
}

TEST(Counts, WhatALivingSessionHasReservedStaysSo) {
  World world(std::string(kSite) + rule("r", "per = \"client_ip\"\nlimit = \"2 recipients / 1d\""));
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<r1@example.org>"), "");
  EXPECT_EQ(talk.rcpt("<r2@example.org>"), "");
  for (const Duration wait : {Duration(minutes(16)), Duration(hours(20)), Duration(hours(100))}) {
    world.pass(wait);
    EXPECT_EQ(code(talk.rcpt("<r3@example.org>")), 451);
    EXPECT_EQ(send(world, "<r4@example.org>"), 451);
  }
  EXPECT_EQ(talk.end(), "");
  EXPECT_EQ(send(world, "<r4@example.org>"), 451);
  world.pass(hours(25));
  EXPECT_EQ(send(world, "<r4@example.org>"), 250);
}

TEST(Counts, ATriedDialogueReservesAsTheDaemonDoes) {
  const auto policy = policy_from("[store]\nreservation_timeout = \"1m\"\n" + std::string(kSite) +
                                  rule("r", "per = \"client_ip\"\nlimit = \"2 recipients / 1d\""));
  const auto steps = std::get<std::vector<ScriptStep>>(parse_script(
      "CONNECT 203.0.113.5\nEHLO a\nMAIL FROM:<a@x.example>\nRCPT TO:<1@example.org>\nRCPT TO:<2@example.org>\n"
      "WAIT 16m\nRCPT TO:<3@example.org>\nDATA\n.\nMAIL FROM:<a@x.example>\nRCPT TO:<4@example.org>\n"));
  Player player(policy);
  Gate gate(player.store());
  std::vector<int> codes;
  for (const ScriptLine& line : play_script(steps, policy, gate, Instant(hours(490000)))) {
    if (line.command.starts_with("RCPT")) codes.push_back(std::stoi(line.reply));
  }
  EXPECT_EQ(codes, (std::vector{250, 250, 451, 451}));
}

TEST(Counts, ASessionThatIsDroppedHoldsNothing) {
  World world(std::string(kSite) + rule("r", "per = \"client_ip\"\nlimit = \"1 recipients / 1d\""));
  {
    Talk talk(world);
    talk.stranger();
    EXPECT_EQ(talk.rcpt("<r@example.org>"), "");
  }
  EXPECT_EQ(world.store.reservations(), 0U);
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
}

TEST(Counts, AMessageIsOneAttempt) {
  World world(
      std::string(kSite) +
      rule("r", "per = \"recipient_domain\"\nlimit = \"2 messages / 1h\"\ncount = \"attempts\"", told("{used}")) +
      rule("no", "when = { recipient_local = \"no\" }", "550"));
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(code(talk.rcpt("<no@example.org>")), 550);
  talk.abort();
  EXPECT_EQ(send(world, "<yes@example.org>"), 250);
  Talk full(world);
  full.stranger();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(full.rcpt("<yes@example.org>"), "451 4.7.28 2");
  full.abort();
  Talk next(world);
  next.stranger();
  EXPECT_EQ(next.rcpt("<yes@example.org>"), "451 4.7.28 3");
}

TEST(Counts, MembersThatWereOnlyTriedAreBounded) {
  World world(std::string(kSite) +
              rule("r", "per = \"client_ip\"\nlimit = \"10 distinct_recipients / 1h\"\ncount = \"attempts\""));
  Talk talk(world);
  talk.stranger();
  int kept = 0;
  for (int i = 0; i < 5000; ++i) kept += talk.rcpt(fmt::format("<r{}@example.org>", i)).empty() ? 1 : 0;
  EXPECT_EQ(kept, 10);
  talk.abort();
  world.pass(hours(2));
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
}

TEST(Counts, RecipientsOfTheMessageAsAWhole) {
  for (const char* at : {"data", "message"}) {
    World world(
        std::string(kSite) +
        rule("r", fmt::format("per = \"sender\"\nlimit = \"5 recipients / 1h\"\nat = \"{}\"", at), told("{used}")));
    const auto send_to = [&](int recipients) {
      Talk talk(world);
      talk.stranger("<a@x.example>");
      for (int i = 0; i < recipients; ++i) EXPECT_EQ(talk.rcpt(fmt::format("<r{}@example.org>", i)), "");
      const std::string reply = talk.data();
      return reply.empty() ? talk.end() : reply;
    };
    EXPECT_EQ(send_to(3), "") << at;
    EXPECT_EQ(send_to(3), "451 4.7.28 3") << at;
    EXPECT_EQ(send_to(3), "451 4.7.28 3") << at;  // nothing was charged
    EXPECT_EQ(send_to(2), "") << at;
    EXPECT_EQ(send_to(1), "451 4.7.28 5") << at;
    EXPECT_EQ(code(send_to(6)), 554) << at;  // that can never fit
  }
}

TEST(Counts, AnOverrideReplacesLikeByLike) {
  World world(std::string(kSite) + R"(
[[rule]]
name = "r"
per = "sender"
limit = ["3 messages / 1h", "4 recipients / message", "1 kB / message"]
reply = "rate-limited"
[rule.override]
"few@x.example" = "1 messages / 1d"
"many@x.example" = "unlimited messages"
"wide@x.example" = ["unlimited bytes", "9 recipients / message"]
"free@x.example" = "unlimited"
)");
  const auto fits = [&](const std::string& sender, int recipients, int octets) {
    Talk talk(world);
    talk.stranger('<' + sender + '>');
    int kept = 0;
    for (int i = 0; i < recipients; ++i) kept += talk.rcpt(fmt::format("<r{}@example.org>", i)).empty() ? 1 : 0;
    if (kept < recipients) return fmt::format("{}", kept);
    talk.content(octets);
    return talk.end().substr(0, 3);
  };
  const auto messages = [&](const std::string& sender) {
    int sent = 0;
    while (sent < 6 && fits(sender, 1, 10).empty()) ++sent;
    return sent;
  };
  EXPECT_EQ(messages("any@x.example"), 3);
  EXPECT_EQ(messages("few@x.example"), 1);
  EXPECT_EQ(messages("many@x.example"), 6);
  EXPECT_EQ(fits("many@x.example", 5, 10), "4");
  EXPECT_EQ(fits("many@x.example", 1, 2000), "552");
  EXPECT_EQ(fits("wide@x.example", 9, 2000), "");
  EXPECT_EQ(messages("wide@x.example"), 2);
  EXPECT_EQ(fits("free@x.example", 9, 2000), "");
}

// A recipient that the MTA refuses takes nothing with it; the next one counts the message.
TEST(Counts, ARecipientThatTheMtaRefusesHoldsNothing) {
  World world(std::string(kSite) +
              rule("r",
                   "unless = { mta_refused = true, sender = \"b@x.example\" }\nper = \"recipient_domain\"\n"
                   "limit = [\"1 messages / 1h\", \"2 recipients / session\"]") +
              rule("seen", "when = { mta_refused = true }\nper = \"recipient_domain\"\nlimit = \"1 messages / 1h\""));
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 3; ++i) talk.mta_refused("<r@example.org>", "5.1.1", "no");
  EXPECT_EQ(world.store.reservations(), 0U);
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "");
  EXPECT_EQ(talk.end(), "");
  EXPECT_EQ(send(world, "<r@example.org>"), 451);
}

// Mail of a client that greylisting knows is charged like any other.
TEST(Counts, AKnownClientIsCharged) {
  World world(std::string(kSite) + rule("quota", "per = \"client_ip\"\nlimit = \"3 recipients / 1d\"") +
              rule("grey", "per = [\"client_net\", \"recipient\"]\ngreylist = { delay = \"1m\", known_after = 1 }",
                   "\"greylisted\""));
  EXPECT_EQ(send(world, "<r0@example.org>"), 450);
  world.pass(minutes(2));
  EXPECT_EQ(send(world, "<r0@example.org>"), 250);
  EXPECT_EQ(send(world, "<r1@example.org>"), 250);
  EXPECT_EQ(send(world, "<r2@example.org>"), 250);
  EXPECT_EQ(send(world, "<r3@example.org>"), 451);
}

// What nothing refuses is counted whatever would have refused it.
TEST(Counts, LocalSubmissionIsCountedBehindWhatWouldRefuseIt) {
  World world(std::string(kSite) + rule("closed", "when = { client_ip = \"127.0.0.1\" }", "554") +
              rule("r", "per = \"sender\"\nlimit = \"2 messages / 1h\"") +
              rule("never", "when = { sender = \"www@example.org\" }\nat = \"rcpt\"", "554") +
              rule("q", "per = \"sender\"\nlimit = \"9 recipients / 1h\"", told("{used}")));
  for (int i = 0; i < 3; ++i) {
    Talk local(world);
    local.local_submission();
    EXPECT_EQ(local.mail("www@example.org"), "");
    EXPECT_EQ(local.rcpt("r@example.org"), "");
    EXPECT_EQ(local.end(), "");
  }
  Talk talk(world);
  talk.stranger("<www@example.org>");
  EXPECT_EQ(code(talk.rcpt("<r@example.org>")), 451);
  talk.abort();
  EXPECT_NE(world.records.json.back().find("\"used\":3"), std::string::npos);
}

// What a full limit holds is counted all the same, in front of it and behind it: nothing can be refused there.
TEST(Counts, LocalSubmissionIsCountedWhereALimitHoldsIt) {
  World world(std::string(kSite) + rule("r", "per = \"sender\"\nlimit = \"3 messages / 1h\"", told("{used}")) +
              "[[rule]]\nname = \"h\"\nper = \"sender\"\nlimit = \"1 messages / 1h\"\nhold = \"why\"\n" +
              rule("q", "per = \"sender\"\nlimit = \"9 messages / 1h\""));
  for (int i = 0; i < 5; ++i) {
    Talk local(world);
    local.local_submission();
    EXPECT_EQ(local.mail("www@example.org"), "");
    EXPECT_EQ(local.rcpt("r@example.org"), "");
    EXPECT_EQ(local.end(), i == 1 || i == 2 ? "hold: why" : "") << "the first is within, the last would be refused";
  }
  Talk talk(world);
  talk.stranger("<www@example.org>");
  EXPECT_EQ(talk.rcpt("<r@example.org>"), "451 4.7.28 5");
}

TEST(Counts, ASizeBeyondAllNumbersIsNotNone) {
  World world(std::string(kSite) + rule("r", "when = { declared_size = \"> 25 MB\" }", "552"));
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(code(talk.mail("<a@x.example>", "", {"SIZE=99999999999999999999"})), 552);
  EXPECT_EQ(talk.mail("<a@x.example>", "", {"SIZE=1000"}), "");
}

}  // namespace
}  // namespace replygate::test

// What rules mean, one by one, through the session and the memory store.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

std::string code_of(const std::string& reply) { return reply.substr(0, 3); }

// One message of alice's to each recipient; the code of each, and of the end.
std::string send(World& world, std::initializer_list<std::string_view> recipients, std::string user = "alice") {
  Talk talk(world);
  std::string codes;
  talk.connect("192.0.2.1");
  talk.helo();
  if (const std::string refused = talk.mail("<alice@a.example>", std::move(user)); !refused.empty())
    return code_of(refused);
  bool kept = false;
  for (const std::string_view recipient : recipients) {
    const std::string reply = talk.rcpt(fmt::format("<{}>", recipient));
    codes += fmt::format("{} ", reply.empty() ? "250" : code_of(reply));
    kept |= reply.empty();
  }
  if (!kept) {
    talk.abort();
    return codes + "-";
  }
  talk.end_of_headers();
  const std::string end = talk.end();
  return codes + (end.empty() ? "ok" : end.substr(0, end.find(':')).substr(0, 7));
}

TEST(Units, DistinctRecipientsThatComeAgainCostNothing) {
  World world("[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"2 distinct_recipients / 1h\"\nreply = 452\n");
  EXPECT_EQ(send(world, {"a@x.example", "b@x.example", "a@x.example", "c@x.example"}), "250 250 250 452 ok");
  EXPECT_EQ(send(world, {"b@x.example", "c@x.example"}), "250 452 ok");
  world.pass(minutes(59));
  EXPECT_EQ(send(world, {"b@x.example"}), "250 ok");  // stays for another hour
  world.pass(minutes(30));
  EXPECT_EQ(send(world, {"c@x.example", "b@x.example", "d@x.example"}), "250 250 452 ok");
}

TEST(Units, DistinctRecipientsOfASession) {
  World world("[[rule]]\nname = \"r\"\nlimit = \"2 distinct_recipients / session\"\nreply = 452\n");
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example", "b@x.example", "c@x.example", "a@x.example"}),
            "250 250 250 452 250 ok");
}

TEST(Units, DistinctRecipientsOfAnAbortedMessageAreGivenBack) {
  World world("[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"1 distinct_recipients / 1h\"\nreply = 452\n");
  {
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.mail("<alice@a.example>", "alice");
    EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
    talk.abort();
  }
  EXPECT_EQ(send(world, {"b@x.example", "a@x.example"}), "250 452 ok");
}

TEST(Units, RefusalsOfOtherRulesAreHeldAgainstAClient) {
  World world(
      "[[rule]]\nname = \"banned\"\nper = \"client_ip\"\nlimit = \"2 refusals / 1h\"\nreply = 554\n"
      "[[rule]]\nname = \"no\"\nwhen = { recipient_local = \"no\" }\nreply = 550\n");
  EXPECT_EQ(send(world, {"no@x.example", "yes@x.example", "no@x.example", "yes@x.example", "no@x.example"}),
            "550 250 550 554 554 ok");
  EXPECT_EQ(send(world, {"yes@x.example"}), "554 -");
  // Its own refusals do not count: an hour later the client may come again.
  world.pass(minutes(61));
  EXPECT_EQ(send(world, {"yes@x.example"}), "250 ok");
}

TEST(Units, RefusalsTurnAwayAtConnectWhereTheRuleSaysSo) {
  World world(
      "[[rule]]\nname = \"banned\"\nper = \"client_ip\"\nlimit = \"1 refusals / 1h\"\nat = \"connect\"\nreply = 421\n"
      "[[rule]]\nname = \"no\"\nwhen = { recipient_local = \"no\" }\nreply = 550\n");
  EXPECT_EQ(send(world, {"no@x.example", "yes@x.example"}), "550 250 ok");
  Talk talk(world);
  EXPECT_EQ(code_of(talk.connect("192.0.2.1")), "421");
  EXPECT_EQ(talk.connect("192.0.2.2"), "");
}

TEST(Units, UnknownRecipientsAreThoseThatTheMtaRefused) {
  World world(
      "[[rule]]\nname = \"harvest\"\nper = \"client_ip\"\nlimit = \"2 unknown_recipients / 1h\"\nreply = 554\n");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  EXPECT_EQ(talk.mta_refused("<g1@x.example>", "5.1.1", "User unknown"), "");
  EXPECT_EQ(talk.rcpt("<b@x.example>"), "");
  EXPECT_EQ(talk.mta_refused("<g2@x.example>", "5.1.1", "User unknown"), "");
  EXPECT_EQ(code_of(talk.rcpt("<c@x.example>")), "554");
  EXPECT_EQ(talk.mta_refused("<g3@x.example>", "5.1.1", "User unknown"), "");  // the MTA's reply stands
}

TEST(Periods, ABurstIsFilledAgain) {
  World world(
      "[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"60 recipients / 1h\"\nburst = 3\nreply = \"rate-limited\"\n");
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example", "a@x.example", "a@x.example"}), "250 250 250 451 ok");
  world.pass(minutes(1));
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example"}), "250 451 ok");
  world.pass(hours(1));
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example", "a@x.example", "a@x.example"}), "250 250 250 451 ok");
}

TEST(Periods, ADayEndsAtLocalMidnight) {
  World world(
      "[keys]\ntimezone = \"Europe/Vienna\"\n"
      "[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"2 recipients / day\"\nreply = { code = 452, text = \"again in "
      "{retry_after}\" }\n");
  world.now = Instant(std::chrono::sys_days(std::chrono::year(2026) / 11 / 22)) + hours(22);  // 23:00 there
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example", "a@x.example"}), "250 250 452 ok");
  EXPECT_NE(world.records.json.back().find("again in 1h"), std::string::npos);
  EXPECT_NE(world.records.json.back().find("\"window\":\"day\""), std::string::npos);
  world.pass(minutes(60) - seconds(1));
  EXPECT_EQ(send(world, {"a@x.example"}), "452 -");
  world.pass(seconds(1));
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example", "a@x.example"}), "250 250 452 ok");
}

TEST(Limits, AWarningComesOnceInAPeriodForEachKey) {
  World world(
      "[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"5 recipients / 1h\"\nwarn_at = \"80%\"\nreply = 452\n");
  const auto warnings = [&] {
    const std::string& line = world.records.json.back();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = line.find("\"warning\":true", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  send(world, {"a@x.example", "b@x.example", "c@x.example"});
  EXPECT_EQ(warnings(), 0U);
  send(world, {"d@x.example", "e@x.example", "f@x.example"});
  EXPECT_EQ(warnings(), 1U);
  send(world, {"a@x.example"}, "bob");
  EXPECT_EQ(warnings(), 0U);
  world.pass(hours(2));
  send(world, {"a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"});
  EXPECT_EQ(warnings(), 1U);
}

constexpr std::string_view kGreylist =
    "[[rule]]\nname = \"grey\"\nper = [\"client_net\", \"sender\", \"recipient\"]\n"
    "greylist = { delay = \"5m\", retry_within = \"1d\", remember = \"36d\", known_after = 2, pools = "
    "[\".big.example\"] }\n"
    "reply = \"greylisted\"\n";

std::string knock(World& world, std::string_view ip, std::string recipient, std::string name = "mx.small.example") {
  Talk talk(world);
  talk.connect(ip, std::move(name));
  talk.mail("<a@b.example>");
  std::string reply = talk.rcpt(fmt::format("<{}>", recipient));
  talk.abort();
  return reply;
}

TEST(Greylist, AStrangerWaitsOnce) {
  World world(kGreylist);
  EXPECT_EQ(knock(world, "203.0.113.1", "x@c.example"), "450 4.7.1 Greylisted, try again in 5m");
  world.pass(minutes(3));
  EXPECT_EQ(knock(world, "203.0.113.2", "x@c.example"), "450 4.7.1 Greylisted, try again in 2m");  // the same network
  world.pass(minutes(2));
  EXPECT_EQ(knock(world, "203.0.113.1", "x@c.example"), "");
  world.pass(hours(24 * 30));
  EXPECT_EQ(knock(world, "203.0.113.1", "x@c.example"), "");
  world.pass(hours(24 * 37));
  EXPECT_NE(knock(world, "203.0.113.1", "x@c.example"), "");
}

TEST(Greylist, AClientThatHasPassedOftenIsKnown) {
  World world(kGreylist);
  for (const std::string recipient : {"x@c.example", "y@c.example"}) {
    EXPECT_NE(knock(world, "203.0.113.1", recipient), "");
    world.pass(minutes(5));
    EXPECT_EQ(knock(world, "203.0.113.1", recipient), "");
  }
  EXPECT_EQ(knock(world, "203.0.113.9", "z@c.example"), "");
  EXPECT_NE(knock(world, "198.51.100.1", "z@c.example"), "");
}

TEST(Greylist, APoolIsOneClient) {
  World world(kGreylist);
  EXPECT_NE(knock(world, "203.0.113.1", "x@c.example", "out1.big.example"), "");
  world.pass(minutes(5));
  EXPECT_EQ(knock(world, "198.51.100.1", "x@c.example", "OUT2.big.example"), "");
}

TEST(Greylist, TheRecordSaysWhatWasSeen) {
  World world(kGreylist);
  knock(world, "203.0.113.1", "x@c.example");
  const std::string& line = world.records.json.back();
  EXPECT_NE(
      line.find("\"greylist\":[{\"rule\":\"grey\",\"key\":\"203.0.113.0/24|a@b.example|x@c.example\",\"state\":\"new\","
                "\"passes\":false,\"room_at\":"),
      std::string::npos)
      << line;
}

TEST(Escalation, AKeyThatKeepsComingGetsAHarderReply) {
  World world(
      "[[rule]]\nname = \"r\"\nwhen = { recipient_local = \"no\" }\nper = \"client_ip\"\nreply = 450\n"
      "escalate = [{ after = \"2 refusals / 1h\", reply = 550 }, { after = \"3 refusals / 1h\", reply = 554 }]\n");
  EXPECT_EQ(send(world, {"no@x.example", "no@x.example", "no@x.example", "no@x.example", "yes@x.example"}),
            "450 450 550 554 250 ok");
  EXPECT_NE(world.records.json.back().find("\"escalated\":\"3 refusals / 1h\""), std::string::npos);
  world.pass(minutes(62));
  EXPECT_EQ(send(world, {"no@x.example"}), "450 -");
}

TEST(Outcome, HoldAndDiscardAndHeaders) {
  World world(
      "[[rule]]\nname = \"tag\"\nwhen = { recipient_local = [\"a\", \"b\"] }\nheader = { X-Seen = \"{recipient_local} "
      "{rule}\" }\n"
      "[[rule]]\nname = \"hold\"\nwhen = { recipient_local = \"held\" }\nhold = \"look at it\"\n"
      "[[rule]]\nname = \"drop\"\nwhen = { size = \"> 100 B\" }\ndiscard = true\n"
      "[[rule]]\nname = \"late\"\nwhen = { size = \"> 50 B\" }\nreply = 552\n");
  const auto ends = [&](std::string_view recipient, std::int64_t size) {
    Talk talk(world);
    talk.stranger();
    EXPECT_EQ(talk.rcpt(fmt::format("<{}@x.example>", recipient)), "");
    talk.content(size);
    return talk.end();
  };
  EXPECT_EQ(ends("a", 10), "");
  EXPECT_NE(world.records.json.back().find("\"headers\":[{\"name\":\"X-Seen\",\"value\":\"a tag\"}]"),
            std::string::npos);
  EXPECT_EQ(ends("held", 10), "hold: look at it");
  EXPECT_NE(world.records.json.back().find("\"held\":\"look at it\""), std::string::npos);
  EXPECT_EQ(ends("a", 200), "discard");
  EXPECT_NE(world.records.json.back().find("\"discarded\":true"), std::string::npos);
  EXPECT_EQ(ends("held", 200), "discard");
  EXPECT_EQ(ends("a", 60), "552 5.3.4 Message too big");
}

TEST(Outcome, AHeaderIsAddedOnceAndNotToWhatIsRefused) {
  World world(
      "[[rule]]\nname = \"tag\"\nwhen = { recipient_domain = \"x.example\" }\nheader = { X-Seen = \"yes\" }\n"
      "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"2 recipients / 1h\"\nreply = 452\nheader = { X-Used = "
      "\"{used}\" }\n");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<b@x.example>"), "");
  EXPECT_EQ(code_of(talk.rcpt("<c@x.example>")), "452");
  EXPECT_EQ(talk.end(), "");
  ASSERT_EQ(talk.disposition().headers.size(), 3U);
  EXPECT_EQ(talk.disposition().headers[0].name, "X-Seen");
  EXPECT_EQ(talk.disposition().headers[1].value, "0");
  EXPECT_EQ(talk.disposition().headers[2].value, "1");
}

TEST(Outcome, AHeaderIsOneLineWhateverAClientSends) {
  World world("[[rule]]\nname = \"tag\"\nwhen = { tls = false }\nheader = { X-Helo = \"{helo}\" }\n");
  Talk talk(world);
  talk.connect("192.0.2.1");
  talk.helo("a\r\nBcc: victim@x.example");
  talk.mail("<a@b.example>");
  talk.rcpt("<c@d.example>");
  EXPECT_EQ(talk.end(), "");
  ASSERT_EQ(talk.disposition().headers.size(), 1U);
  EXPECT_EQ(talk.disposition().headers[0].value, "a??Bcc: victim@x.example");
}

TEST(Outcome, WhatIsOverALimitMayBeHeldAndOthersStillCountIt) {
  World world(
      "[[rule]]\nname = \"day\"\nper = \"user\"\nlimit = \"3 recipients / 1d\"\nreply = 452\n"
      "[[rule]]\nname = \"hold\"\nper = \"user\"\nlimit = \"1 messages / 1h\"\nhold = \"many\"\n");
  EXPECT_EQ(send(world, {"a@x.example"}), "250 ok");
  EXPECT_EQ(send(world, {"a@x.example"}), "250 hold");
  world.pass(hours(2));
  EXPECT_EQ(send(world, {"a@x.example", "a@x.example"}), "250 452 ok");
}

TEST(Outcome, ObservedActionsAreRecordedAlone) {
  World world(
      "[[rule]]\nname = \"r\"\nmode = \"observe\"\nwhen = { recipient_local = \"a\" }\nhold = \"why\"\nheader = { X-A "
      "= \"b\" }\n");
  EXPECT_EQ(send(world, {"a@x.example"}), "250 ok");
  EXPECT_NE(world.records.json.back().find("\"observed\":[{\"action\":\"hold\",\"rule\":\"r\""), std::string::npos);
  EXPECT_EQ(world.records.json.back().find("X-A"), std::string::npos);
}

TEST(Share, IsEnforcedForTheSameKeysAlways) {
  World world(
      "[[rule]]\nname = \"r\"\nper = \"user\"\nshare = \"25%\"\nwhen = { authenticated = true }\nreply = 554\n");
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string user = fmt::format("user{}", i);
    const std::string first = send(world, {"a@x.example"}, user);
    if (i % 100 == 0) {
      EXPECT_EQ(send(world, {"b@x.example"}, user), first);
    }
    refused += first == "554" ? 1 : 0;
  }
  EXPECT_GT(refused, 200);
  EXPECT_LT(refused, 300);
}

TEST(HeaderFacts, ConditionsKeysAndTexts) {
  World world(
      "[[rule]]\nname = \"loop\"\nwhen = { header.X-Loop = [\"us.example\", \"*.us.example\"] }\nreply = { code = 554, "
      "text = \"{header.X-Loop}\" }\n"
      "[[rule]]\nname = \"no-date\"\nwhen = { header.Date = \"\" }\nunless = { header_count = \"< 2\" }\nreply = 550\n"
      "[[rule]]\nname = \"list\"\nper = \"header.List-Id\"\nlimit = \"1 messages / 1h\"\nreply = 452\n");
  const auto with = [&](std::initializer_list<std::pair<std::string_view, std::string_view>> headers) {
    Talk talk(world);
    talk.stranger();
    talk.rcpt("<a@x.example>");
    for (const auto& [name, value] : headers) talk.header(name, value);
    const std::string reply = talk.end_of_headers();
    return reply.empty() ? talk.end() : reply;
  };
  EXPECT_EQ(with({{"X-LOOP", "Mx.Us.example"}}), "554 5.7.1 Mx.Us.example");
  EXPECT_EQ(with({{"X-Loop", "other"}, {"x-loop", "us.example"}}).substr(0, 3), "554");  // one of them is enough
  EXPECT_EQ(with({{"Subject", "s"}}), "");
  EXPECT_EQ(with({{"Subject", "s"}, {"To", "t"}}).substr(0, 3), "550");
  EXPECT_EQ(with({{"Date", "d"}, {"List-Id", "<l>"}}), "");
  EXPECT_EQ(with({{"Date", "d"}, {"List-Id", "<L>"}}).substr(0, 3), "452");
  EXPECT_EQ(with({{"Date", "d"}, {"List-Id", "<m>"}}), "");
}

TEST(TimeFacts, TimeWeekdayAndAge) {
  World world(
      "[[rule]]\nname = \"night\"\nwhen = { time = \"22:00-06:00\" }\nreply = 451\n"
      "[[rule]]\nname = \"weekend\"\nwhen = { weekday = [\"sat\", \"Sunday\"] }\nreply = 554\n"
      "[[rule]]\nname = \"slow\"\nwhen = { session_age = \"> 5m\" }\nat = \"rcpt\"\nreply = 421\n");
  const auto at = [&](unsigned day, int hour) {
    world.now = Instant(std::chrono::sys_days(std::chrono::year(2026) / 11 / std::chrono::day(day))) + hours(hour);
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.helo();
    return code_of(talk.mail("<a@b.example>"));
  };
  EXPECT_EQ(at(23, 12), "");
  EXPECT_EQ(at(23, 21), "");
  EXPECT_EQ(at(23, 22), "451");
  EXPECT_EQ(at(23, 5), "451");
  EXPECT_EQ(at(23, 6), "");
  EXPECT_EQ(at(21, 12), "554");
  EXPECT_EQ(at(22, 12), "554");
  world.now = Instant(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23)) + hours(12);
  Talk talk(world);
  talk.stranger();
  world.pass(minutes(5));
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  world.pass(seconds(1));
  EXPECT_EQ(code_of(talk.rcpt("<a@x.example>")), "421");
}

TEST(DigestFact, TheSameMailAgainAndAgain) {
  World world(
      "[[rule]]\nname = \"dup\"\nper = [\"sender\", \"digest\"]\nlimit = \"1 messages / 1h\"\nreply = "
      "\"duplicate-flood\"\n");
  const auto with = [&](std::string_view body) {
    Talk talk(world);
    talk.stranger();
    talk.rcpt("<a@x.example>");
    talk.header("Subject", "hello");
    talk.end_of_headers();
    talk.body(body);
    return code_of(talk.end());
  };
  EXPECT_EQ(with("one\r\n"), "");
  EXPECT_EQ(with("two\r\n"), "");
  EXPECT_EQ(with("ONE\r\n\r\n"), "557");
}

TEST(Language, VersionsOfTlsAreComparedInOrder) {
  const auto holds_for = [](const std::string& condition) {
    World world("[[rule]]\nname = \"r\"\n" + condition + "\nreply = 550\n");
    std::string versions;
    for (const char* version : {"", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}) {
      Talk talk(world);
      talk.connect("192.0.2.1");
      versions += talk.mail("<a@x.example>", "", {}, {.version = version}).empty() ? '-' : 'x';
    }
    return versions;
  };
  EXPECT_EQ(holds_for("when = { tls_version = \"TLSv1.2\" }"), "----x-");
  EXPECT_EQ(holds_for("when = { tls_version = \"< TLSv1.2\" }"), "-xxx--");
  EXPECT_EQ(holds_for("when = { tls_version = \">= TLSv1.2\" }"), "----xx");
  EXPECT_EQ(holds_for("when = { tls_version = \"!= SSLv3\" }"), "--xxxx");
  EXPECT_EQ(holds_for("when = { tls_version = \"TLSv1..TLSv1.1\" }"), "--xx--");
  EXPECT_EQ(holds_for("when = { tls_version = [\"SSLv3\", \"!= TLSv1.3\"] }"), "-xxxx-");
  EXPECT_EQ(holds_for("when = { tls = true }\nunless = { tls_version = \"!= SSLv3\" }"), "-x----");
}

}  // namespace
}  // namespace replygate::test

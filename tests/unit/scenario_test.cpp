// Ranges, times, dialogues, tests of a policy.

#include "policy/scenario/scenario.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/scenario/player.h"
#include "policy/scenario/smtp_script.h"
#include "policy/scenario/test_run.h"
#include "policy/scenario/trace.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

TEST(Scenario, RangesCount) {
  EXPECT_EQ(expand_ranges("a@b.example"), std::vector<std::string>{"a@b.example"});
  EXPECT_EQ(expand_ranges("r{8..11}@x"), (std::vector<std::string>{"r8@x", "r9@x", "r10@x", "r11@x"}));
  EXPECT_EQ(expand_ranges("{1..2}@{3..4}.x"), (std::vector<std::string>{"1@3.x", "1@4.x", "2@3.x", "2@4.x"}));
  for (const std::string_view wrong : {"r{1..}@x", "r{..2}@x", "r{2..1}@x", "r{1.2}@x", "r{1..2", "r{a..b}@x",
                                       "{1..100001}@x", "{1..1000}@{1..101}.x"}) {
    EXPECT_FALSE(expand_ranges(wrong)) << wrong;
  }
}

TEST(Scenario, TimesAreRfc3339) {
  const Instant nine = std::chrono::sys_days(std::chrono::year(2026) / 11 / 22) + std::chrono::hours(9);
  EXPECT_EQ(parse_time("2026-11-22T09:00:00Z"), nine);
  EXPECT_EQ(parse_time("2026-11-22T09:00Z"), nine);
  EXPECT_EQ(parse_time("2026-11-22T09:00:00.250Z"), nine + std::chrono::milliseconds(250));
  EXPECT_EQ(parse_time("2026-11-22T10:30:00+01:30"), nine);
  EXPECT_EQ(parse_time("2026-11-22 04:00:00-05:00"), nine);
  for (const std::string_view wrong :
       {"", "2026-11-22", "2026-11-22T09:00:00", "2026-13-22T09:00:00Z", "2026-02-30T09:00:00Z", "2026-11-22T24:00:00Z",
        "2026-11-22T09:60:00Z", "2026-11-22T09:00:00+1:00", "x026-11-22T09:00:00Z"}) {
    EXPECT_FALSE(parse_time(wrong)) << wrong;
  }
}

TEST(Scenario, TheGivenIsWhatRulesSee) {
  const auto policy = policy_from(
      "[mailbox]\nfile = \"q\"\n"
      "[[rule]]\nname = \"all\"\nwhen = { client_ip = \"192.0.2.9\", client_name = \"mx.x.example\", client_port = "
      "1234, listener = \"sub\", "
      "helo = \"h.example\", user = \"u\", auth_mechanism = \"LOGIN\", sender = \"a@b.example\", tls_version = "
      "\"TLSv1.2\", tls_cipher = \"C\", "
      "tls_bits = 128, tls_subject = \"s\", tls_issuer = \"i\", declared_size = \"5 kB\", smtputf8 = true, "
      "mailbox_used = \"50%\", recipient_route = \"lmtp\" }\n"
      "reply = { code = 550, text = \"all of it\" }\n");
  Given g;
  g.client = IpAddress::parse("192.0.2.9");
  g.client_name = "mx.x.example";
  g.port = 1234;
  g.listener = "sub";
  g.helo = "h.example";
  g.user = "u";
  g.mechanism = "LOGIN";
  g.from = "a@b.example";
  g.tls = {"TLSv1.2", "C", 128, "s", "i"};
  g.size = 5000;
  g.parameters = {"SMTPUTF8"};
  g.mailbox_used = 50;
  g.route = "lmtp";
  const Played played = Player(policy).play(g, {"c@d.example"}, Instant(std::chrono::hours(1)));
  ASSERT_TRUE(played.recipients[0].reply);
  EXPECT_EQ(played.recipients[0].reply->text(), "all of it");
  EXPECT_EQ(played.recipients[0].rule, "all");
}

TEST(Scenario, AMessageIsFilledUpToItsSize) {
  const auto policy = policy_from("[[rule]]\nname = \"r\"\nwhen = { size = \"!= 300000 B\" }\nreply = 552\n");
  Given g;
  g.size = 300000;
  g.headers = {{"Subject", "x"}};
  g.body = "text\r\n";
  EXPECT_FALSE(Player(policy).play(g, {"c@d.example"}, Instant(std::chrono::hours(1))).recipients[0].reply);
}

TEST(Scenario, TheAnswerToMailIsThatOfEachRecipient) {
  const auto policy = policy_from("[[rule]]\nname = \"r\"\nwhen = { sender = \"\" }\nreply = 554\n");
  const Played played = Player(policy).play({}, {"a@b.example", "c@d.example"}, Instant(std::chrono::hours(1)));
  ASSERT_EQ(played.recipients.size(), 2U);
  for (const Delivered& d : played.recipients) EXPECT_EQ(d.rule, "r");
  EXPECT_EQ(Player(policy).play({}, {}, Instant(std::chrono::hours(1))).recipients.at(0).rule, "r");
}

TEST(Scenario, AReplyThatClosesTheConnectionEndsIt) {
  const auto policy = policy_from("[[rule]]\nname = \"r\"\nwhen = { recipient = \"trap@\" }\nreply = 421\n");
  const auto played =
      Player(policy).play({}, {"a@b.example", "trap@b.example", "c@b.example"}, Instant(std::chrono::hours(1)));
  for (const Delivered& d : played.recipients) {
    ASSERT_TRUE(d.reply);
    EXPECT_EQ(d.reply->code(), 421);
    EXPECT_EQ(d.rule, "r");
    EXPECT_EQ(d.closed, !d.recipient.starts_with("trap"));
  }
}

TEST(Scenario, WhatIsExpectedIsCompared) {
  const Loaded loaded = load_text(
      "version = 1\n"
      "[[rule]]\nname = \"two\"\nwhen = { recipients = \"> 2\" }\nreply = \"too-many-recipients\"\n"
      "[[rule]]\nname = \"watched\"\nmode = \"observe\"\nwhen = { recipients = 1 }\nreply = 550\n"
      "[[rule]]\nname = \"never\"\nwhen = { helo = \"never\" }\nreply = 501\n"
      "[[test]]\nname = \"good\"\nrcpt = \"r{1..3}@x.example\"\n"
      "expect = { accepted = 2, refused = 1, first = { code = 250 }, last = { code = 453, enhanced = \"4.5.3\", class "
      "= \"too-many-recipients\", "
      "rule = \"two\", bounce = \"soft\", text = \"Too many\" }, held = \"\", discarded = false }\n"
      "[[test]]\nname = \"wrong\"\nrcpt = \"r{1..3}@x.example\"\n"
      "expect = { accepted = 3, code = 250, last = { code = 250, rule = \"never\", text = \"nothing\" }, held = "
      "\"why\", discarded = true, header = { X-A = \"b\" } }\n");
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded.tests.size(), 2U);
  const TestReport report = run_tests(loaded.policy, loaded.tests);
  EXPECT_FALSE(report.passed());
  EXPECT_TRUE(report.results[0].differences.empty());
  std::vector<std::string> what;
  for (const Difference& d : report.results[1].differences) what.push_back(d.what + ": " + d.expected + " / " + d.got);
  EXPECT_EQ(what, (std::vector<std::string>{
                      "r3@x.example code: 250 / 453", "last code: 250 / 453", "last rule: never / two",
                      "last text: nothing / Too many recipients, send the rest in another message", "accepted: 3 / 2",
                      "discarded: true / false", "held: why / ", "header X-A: b / (none)"}));
  EXPECT_EQ(report.never_matched, std::vector<std::string>{"never"});
}

TEST(Script, PlaysADialogue) {
  const auto policy = policy_from(
      "[[rule]]\nname = \"login\"\nunless = { authenticated = true, tls = false }\nreply = 530\nat = \"rcpt\"\n"
      "[[rule]]\nname = \"spam\"\nwhen = { header.Subject = \"*win*\" }\nreply = 554\n"
      "[[rule]]\nname = \"closed\"\nwhen = { client_ip = \"192.0.2.66\" }\nreply = 421\n");
  const auto parsed = parse_script(
      "EHLO a\nSTARTTLS\nMAIL FROM:<x@y.example>\nRCPT TO:<a@b.example>\nDATA\n.\nAUTH bob LOGIN\n"
      "MAIL FROM:<x@y.example> SIZE=10\nRCPT TO:<\"a b\"@b.example>\nDATA\nSubject: You\n can WIN\n\n..dot\n.\n"
      "CONNECT 192.0.2.66 bad.example\nQUIT\n");
  ASSERT_TRUE(std::holds_alternative<std::vector<ScriptStep>>(parsed));
  MemoryStore store;
  Gate gate(store);
  std::vector<std::string> codes;
  for (const ScriptLine& line :
       play_script(std::get<std::vector<ScriptStep>>(parsed), policy, gate, Instant(std::chrono::hours(1)))) {
    codes.push_back(line.reply.substr(0, 3));
  }
  EXPECT_EQ(codes,
            (std::vector<std::string>{"250", "220", "250", "530", "503", "235", "250", "250", "554", "421", "(th"}));
  EXPECT_EQ(store.reservations(), 0U);
}

std::vector<std::string> replies_of(const std::shared_ptr<const Policy>& policy, std::string_view dialogue) {
  const auto parsed = parse_script(dialogue);
  MemoryStore store;
  Gate gate(store);
  std::vector<std::string> replies;
  for (const ScriptLine& line :
       play_script(std::get<std::vector<ScriptStep>>(parsed), policy, gate, Instant(std::chrono::hours(1)))) {
    replies.push_back(line.reply.substr(0, 4));
  }
  EXPECT_EQ(store.reservations(), 0U);
  return replies;
}

TEST(Script, A421EndsTheSessionAtEachStage) {
  for (const std::string_view when : {"client_ip = \"192.0.2.1\"", "helo = \"x\"", "sender = \"a@b.example\"",
                                      "recipient = \"c@d.example\"", "header.Subject = \"bad\""}) {
    const auto policy = policy_from(fmt::format("[[rule]]\nname = \"r\"\nwhen = {{ {} }}\nreply = 421\n", when));
    const auto replies = replies_of(policy,
                                    "EHLO x\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\nDATA\nSubject: bad\n.\n"
                                    "EHLO x\nMAIL FROM:<e@f.example>\nWAIT 1m\nQUIT\nCONNECT 192.0.2.2\n");
    const auto closed = std::ranges::find(replies, "421 ");
    ASSERT_NE(closed, replies.end()) << when;
    for (auto it = closed + 1; it != replies.end() - 1; ++it) EXPECT_TRUE(it->starts_with("(t")) << when << *it;
    EXPECT_EQ(replies.back(), "220 ") << when;
  }
}

TEST(Script, MistakesHaveTheirLine) {
  const auto mistake_of = [](std::string_view text) {
    const auto parsed = parse_script(text);
    return std::get<ScriptMistake>(parsed).line;
  };
  EXPECT_EQ(mistake_of("EHLO a\n\nHELO me\nFROB it\n"), 4U);
  EXPECT_EQ(mistake_of("NOOP\nVRFY a\nHELP\nEXPN b\nWAIT long\n"), 5U);
  EXPECT_EQ(mistake_of("WAIT long\n"), 1U);
  EXPECT_EQ(mistake_of("CONNECT here\n"), 1U);
  EXPECT_EQ(mistake_of("EHLO a\nMAIL <a@b>\n"), 2U);
}

TEST(Trace, NamesWhatDecided) {
  const auto policy = policy_from(
      "[[rule]]\nname = \"r\"\nwhen = { recipient_domain = \"x.example\" }\nunless = { sender = \"friend@a.example\" "
      "}\n"
      "per = \"sender\"\nlimit = \"1 recipients / 1h\"\nreply = 452\n"
      "[[rule]]\nname = \"exempt\"\nper = \"user\"\nlimit = \"1 recipients / 1h\"\nreply = 452\n");
  Tracer tracer;
  Player player(policy, &tracer);
  Given g;
  g.from = "a@a.example";
  player.play(g, {"b@x.example", "c@x.example"}, Instant(std::chrono::hours(490000)));
  ASSERT_EQ(tracer.traces().size(), 2U);
  const std::string text = text_of(tracer.traces()[1]);
  EXPECT_NE(text.find("when recipient_domain = \"x.example\": x.example -> yes"), std::string::npos) << text;
  EXPECT_NE(text.find("unless sender = \"friend@a.example\": a@a.example -> no"), std::string::npos) << text;
  EXPECT_NE(text.find("a@a.example: 1 used + 1 > 1 recipients / 1h"), std::string::npos) << text;
  EXPECT_NE(text.find("=> 452 "), std::string::npos) << text;
  EXPECT_NE(text_of(tracer.traces()[0]).find("no key: a fact of per is empty"), std::string::npos);
}

}  // namespace
}  // namespace replygate::test

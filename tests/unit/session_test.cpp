#include "policy/decide/session.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kRelay = R"(
[site]
local_domains = ["ours.example"]
relay_domains = ["relayed.example"]
trusted_networks = ["192.0.2.0/24"]
[[rule]]
name = "no-open-relay"
unless = { recipient_domain = ["$local_domains", "$relay_domains"], client_ip = "$trusted_networks", authenticated = true }
reply = { class = "relay-denied", text = "Relaying denied for {recipient}" }
)";

TEST(Session, RelayDenialIsForStrangersAlone) {
  World world(kRelay);
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@ours.example>"), "");
  EXPECT_EQ(talk.rcpt("<a@relayed.example>"), "");
  EXPECT_EQ(talk.rcpt("<a@other.example>"), "571 5.7.1 Relaying denied for a@other.example");
  EXPECT_EQ(talk.rcpt("<a%other.example@ours.example>"), "571 5.7.1 Relaying denied for a@other.example");
  EXPECT_EQ(talk.end(), "");

  Talk trusted(world);
  trusted.connect("192.0.2.9");
  trusted.mail("<x@y.example>");
  EXPECT_EQ(trusted.rcpt("<a@other.example>"), "");

  Talk user(world);
  user.connect("203.0.113.5");
  user.mail("<x@y.example>", "Carol");
  EXPECT_EQ(user.rcpt("<a@other.example>"), "");
}

TEST(Session, EachMessageIsJudgedByItsOwnSenderForAllRecipients) {
  World world(R"(
[[rule]]
name = "bad"
at = "rcpt"
when = { sender = "bad@x.example" }
reply = 554
[[rule]]
name = "half"
when = { sender_domain = "half.example", recipient_local = "odd" }
unless = { helo = "friend.example" }
reply = 550
)");
  Talk talk(world);
  talk.stranger();
  const auto answers = [&](const std::string& sender) {
    talk.mail(sender);
    std::string text;
    for (const char* name : {"<a@y.example>", "<odd@y.example>", "<b@y.example>", "<odd@z.example>"}) {
      const std::string said = talk.rcpt(name);
      text += said.empty() ? "- " : said.substr(0, 4);
    }
    return text;
  };
  EXPECT_EQ(answers("<bad@x.example>"), "554 554 554 554 ");
  EXPECT_EQ(answers("<good@x.example>"), "- - - - ");
  EXPECT_EQ(answers("<good@half.example>"), "- 550 - 550 ");
  EXPECT_EQ(answers("<bad@x.example>"), "554 554 554 554 ");
  talk.helo("friend.example");
  EXPECT_EQ(answers("<good@half.example>"), "- - - - ");
}

TEST(Session, AddressLiteralsOfOursAreOurs) {
  World world(R"(
[site]
local_domains = ["ours.example", "[IPv6:2001:DB8::25]", "[192.0.2.25]"]
[[rule]]
name = "r"
unless = { recipient_domain = "$local_domains" }
reply = "relay-denied"
)");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@[IPv6:2001:db8:0:0::25]>"), "");
  EXPECT_EQ(talk.rcpt("<a@[IPv6:::ffff:192.0.2.25]>"), "");
  EXPECT_NE(talk.rcpt("<a@[IPv6:2001:db8::26]>"), "");
  EXPECT_NE(talk.rcpt("<a%x.example@[192.0.2.25]>"), "");
}

TEST(Session, NoAddressIsNeverTrusted) {
  World world(kRelay);
  Talk talk(world);
  talk.connect("");
  talk.mail("<x@y.example>");
  EXPECT_EQ(talk.rcpt("<a@other.example>"), "571 5.7.1 Relaying denied for a@other.example");
}

TEST(Session, MalformedRecipientsAreGrantedNothing) {
  World world(kRelay);
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@other.example@ours.example>"), "571 5.7.1 Relaying denied for ");
  EXPECT_NE(world.records.json.size(), 1U);
  talk.abort();
  EXPECT_NE(world.records.json.back().find("\"malformed\":true"), std::string::npos);
}

TEST(Session, TheMtasOwnFormDecides) {
  World world(kRelay);
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@ours.example>", "smtp", "a@other.example"), "571 5.7.1 Relaying denied for a@other.example");
  // Sendmail names a local mailbox without its domain.
  EXPECT_EQ(talk.rcpt("<a@ours.example..>", "local", "a"), "");
  EXPECT_EQ(talk.rcpt("<team@ours.example>", "local", "somebody"), "");
}

// Sendmail names a sender at any of its domains without it.
TEST(Session, ABareSenderIsAtTheDomainThatWasWritten) {
  World world("[site]\nlocal_domains = [\"ours.example\", \"second.example\"]\n");
  const auto sender = [&](std::string written, std::string rewritten) {
    Session session(world.policy, {world.gate, world.records, world.references}, {});
    const auto ignore = [](const Answer&) {};
    session.connect({.ip = IpAddress::parse("192.0.2.1")}, world.now, ignore);
    session.mail({.sender = std::move(written), .rewritten = std::move(rewritten)}, world.now, ignore);
    session.abort(world.now);
    const std::string& record = world.records.json.back();
    const std::size_t at = record.find("\"sender\":\"") + 10;
    return record.substr(at, record.find('"', at) - at);
  };
  EXPECT_EQ(sender("<U@second.example>", "u"), "u@second.example");
  EXPECT_EQ(sender("<u>", "u"), "u@ours.example");
  EXPECT_EQ(sender("<u@second.example>", "u@third.example"), "u@third.example");
  EXPECT_EQ(sender("<>", "MAILER-DAEMON"), "");
}

TEST(Session, TooManyRecipientsKeepsTheOnesThatFit) {
  World world(R"(
[[rule]]
name = "too-many-recipients"
when = { recipients = "> 3" }
reply = "too-many-recipients"
)");
  Talk talk(world);
  talk.stranger();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(talk.rcpt("<a@b.example>"), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(talk.rcpt("<a@b.example>").substr(0, 9), "453 4.5.3");
  EXPECT_EQ(talk.end(), "");
  talk.mail("<x@y.example>");
  EXPECT_EQ(talk.rcpt("<a@b.example>"), "");
}

TEST(Session, ARefusalAtConnectIsGivenAtEachMail) {
  World world(R"(
[[rule]]
name = "closed"
when = { client_ip = "203.0.113.0/24" }
reply = "host-closed"
)");
  Talk talk(world);
  EXPECT_EQ(talk.connect("203.0.113.5"), "");
  EXPECT_EQ(talk.helo(), "");
  EXPECT_EQ(talk.mail("<x@y.example>"), "521 5.3.2 This host does not accept mail");
  EXPECT_EQ(talk.mail("<x@y.example>"), "521 5.3.2 This host does not accept mail");
  EXPECT_EQ(world.records.json.size(), 2U);
}

TEST(Session, ANewGreetingIsJudgedAnew) {
  World world(R"(
[[rule]]
name = "bad-helo"
when = { helo = ["localhost", "*.invalid"] }
reply = "bad-helo"
)");
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.helo("LOCALHOST");
  EXPECT_EQ(talk.mail("<x@y.example>"), "501 5.5.2 HELO name not acceptable");
  talk.helo("mail.y.example");
  EXPECT_EQ(talk.mail("<x@y.example>"), "");
}

TEST(Session, TheFirstRuleThatAnswersWins) {
  World world(R"(
[[rule]]
name = "first"
when = { sender_domain = ".bad.example" }
reply = 550
[[rule]]
name = "second"
when = { sender = "/spam/" }
reply = 451
)");
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(talk.mail("<spam@x.bad.example>").substr(0, 3), "550");
  EXPECT_EQ(talk.mail("<spam@good.example>").substr(0, 3), "451");
  EXPECT_EQ(talk.mail("<ham@good.example>"), "");
}

TEST(Session, AcceptEndsTheQuestionForLaterRules) {
  World world(R"(
[[rule]]
name = "never-this-one"
when = { recipient = "secret@ours.example" }
reply = "unknown-user"
[[rule]]
name = "partners"
when = { client_ip = "198.51.100.0/24" }
accept = true
[[rule]]
name = "abuse-is-open"
when = { recipient_local = "abuse" }
accept = true
[[rule]]
name = "all-others"
when = { recipient_domain = "ours.example" }
reply = "access-denied"
)");
  Talk partner(world);
  partner.connect("198.51.100.7");
  partner.mail("<x@y.example>");
  EXPECT_EQ(partner.rcpt("<a@ours.example>"), "");
  EXPECT_EQ(partner.rcpt("<secret@ours.example>").substr(0, 3), "550");  // an earlier rule is asked all the same

  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<abuse@ours.example>"), "");
  EXPECT_EQ(talk.rcpt("<a@ours.example>").substr(0, 3), "554");  // that was for one recipient
}

TEST(Session, ObserveSaysNothingButRecords) {
  World world(R"(
[[rule]]
name = "trial"
mode = "observe"
when = { recipient_local = "a" }
reply = 550
[[rule]]
name = "real"
when = { recipient_local = "b" }
reply = 551
)");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  EXPECT_EQ(talk.rcpt("<b@x.example>").substr(0, 3), "551");
  talk.end();
  EXPECT_NE(world.records.json.front().find("\"observed\":[{\"reply\":{\"code\":550"), std::string::npos);
}

TEST(Session, TheRecordHasWhatEachStageObserved) {
  World world(R"(
[[rule]]
name = "at-connect"
mode = "observe"
when = { client_ip = "203.0.113.0/24" }
reply = 521
[[rule]]
name = "at-mail"
mode = "observe"
when = { sender_local = "someone" }
reply = 554
[[rule]]
name = "at-the-end"
per = "sender"
limit = "1 MB / 1h"
reply = "quota-exceeded"
)");
  Talk talk(world);
  talk.stranger();
  talk.rcpt("<a@x.example>");
  talk.content(100);
  EXPECT_EQ(talk.end(), "");
  const std::string& record = world.records.json.front();
  for (const char* rule : {"\"rule\":\"at-connect\"", "\"rule\":\"at-mail\"", "\"rule\":\"at-the-end\""}) {
    EXPECT_NE(record.find(rule), std::string::npos) << rule << record;
  }
}

TEST(Session, AWholePolicyCanBeObserved) {
  World world("[milter]\nmode = \"observe\"\n[[rule]]\nname = \"r\"\nwhen = { null_sender = true }\nreply = 550\n");
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(talk.mail("<>"), "");
}

TEST(Session, UnknownFactsAreTheRulesOwnMatter) {
  constexpr std::string_view kRule = "[[rule]]\nname = \"r\"\nwhen = { recipient_route = \"smtp\" }\nreply = 550\n";
  World world(kRule);
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@x.example>", "local"), "");
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "451 4.3.0 Local error in processing, try again later");
  talk.abort();
  EXPECT_NE(world.records.json.front().find("\"unknown\":[\"r\"]"), std::string::npos);
  EXPECT_EQ(world.records.json.front().find("\"unread\""), std::string::npos);

  World lenient(fmt::format("{}on_unknown = \"skip\"\n", kRule));
  Talk other(lenient);
  other.stranger();
  EXPECT_EQ(other.rcpt("<a@x.example>"), "");

  World open("[milter]\non_error = \"accept\"\n" + std::string(kRule));
  Talk third(open);
  third.stranger();
  EXPECT_EQ(third.rcpt("<a@x.example>"), "");
}

TEST(Session, ExternalComesFromTheSiteElseFromTheRoute) {
  constexpr std::string_view kRule = "[[rule]]\nname = \"r\"\nwhen = { external = true }\nreply = 550\n";
  World site("[site]\nlocal_domains = [\"ours.example\"]\n" + std::string(kRule));
  Talk a(site);
  a.stranger();
  EXPECT_EQ(a.rcpt("<a@ours.example>", "smtp"), "");
  EXPECT_NE(a.rcpt("<a@x.example>", "local"), "");

  World bare{kRule};
  Talk b(bare);
  b.stranger();
  EXPECT_EQ(b.rcpt("<a@x.example>", "local"), "");
  EXPECT_EQ(b.rcpt("<a@x.example>", "smtp").substr(0, 3), "550");
  EXPECT_EQ(b.rcpt("<a@x.example>", "esmtp").substr(0, 3), "451");  // Sendmail's name for relayed and foreign alike
}

TEST(Session, AuthenticationTlsAndSizeAreFacts) {
  World world(R"(
[[rule]]
name = "tls-for-logins"
when = { authenticated = true, tls = false }
reply = "encryption-required"
[[rule]]
name = "weak"
when = { tls = true, tls_bits = "< 128" }
reply = "tls-unavailable"
[[rule]]
name = "big"
when = { declared_size = "> 1 MB" }
reply = "message-too-big"
[[rule]]
name = "mismatch"
when = { sender_login_mismatch = true }
reply = { class = "mailbox-name-not-allowed", code = 553 }
)");
  Talk talk(world);
  talk.connect("203.0.113.5");
  const Tls tls{.version = "TLSv1.3", .cipher = "X", .bits = 256};
  EXPECT_EQ(talk.mail("<a@x.example>", "a@x.example").substr(0, 3), "538");
  EXPECT_EQ(talk.mail("<a@x.example>", "A@X.example", {}, tls), "");
  EXPECT_EQ(talk.mail("<b@x.example>", "a@x.example", {}, tls).substr(0, 3), "553");
  EXPECT_EQ(talk.mail("<>", "a@x.example", {}, tls), "");
  EXPECT_EQ(talk.mail("<a@x.example>", "", {"BODY=8BITMIME", "size=1000001"}).substr(0, 3), "552");
  EXPECT_EQ(talk.mail("<a@x.example>", "", {"SIZE=1000000"}), "");
  EXPECT_EQ(talk.mail("<a@x.example>", "", {}, {.version = "TLSv1", .bits = 56}).substr(0, 3), "454");
}

TEST(Session, RecipientsThatTheMtaRefusedAreRecordedAndNotJudged) {
  World world("[[rule]]\nname = \"r\"\nwhen = { recipients = \"> 1\" }\nreply = 550\n");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.mta_refused("<a@x.example>", "5.7.1", "Relay access denied"), "");
  EXPECT_EQ(talk.rcpt("<b@x.example>"), "");
  talk.end();
  const std::string& record = world.records.json.front();
  EXPECT_NE(
      record.find("\"action\":\"mta-refused\",\"reply\":{\"enhanced\":\"5.7.1\",\"text\":\"Relay access denied\"}"),
      std::string::npos)
      << record;
}

TEST(Session, CommandsOutOfOrderAreRefused) {
  World world("");
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(talk.rcpt("<a@x.example>").substr(0, 3), "451");
  EXPECT_EQ(talk.data().substr(0, 3), "451");
  EXPECT_EQ(talk.end().substr(0, 3), "451");
  talk.abort();
  EXPECT_TRUE(world.records.json.empty());
}

TEST(Session, AnEmptyPolicyLetsEverythingPass) {
  World world("");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  EXPECT_EQ(talk.data(), "");
  EXPECT_EQ(talk.end(), "");
  EXPECT_NE(world.records.json.front().find("\"outcome\":\"accepted\""), std::string::npos);
}

TEST(Session, RefusalsOfTheSessionAreAFact) {
  World world(R"(
[[rule]]
name = "tired"
when = { refusals = ">= 2" }
at = "mail"
reply = "service-unavailable"
[[rule]]
name = "no"
when = { sender = "bad@x.example" }
reply = 554
)");
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(talk.mail("<bad@x.example>").substr(0, 3), "554");
  EXPECT_EQ(talk.mail("<good@x.example>"), "");
  EXPECT_EQ(talk.mail("<bad@x.example>").substr(0, 3), "554");
  EXPECT_EQ(talk.mail("<good@x.example>").substr(0, 3), "421");
}

}  // namespace
}  // namespace replygate::test

#include "policy/remote/log_event.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/remote/log_line.h"
#include "policy/remote/mail_trail.h"

namespace replygate {
namespace {

using Kind = LogEventKind;

TEST(LogTimes, AreReadInEachForm) {
  const auto plain = log_time("Nov  5 12:41:56 mx postfix/smtp[1]: x");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->year, 0);
  EXPECT_EQ(plain->month, 11U);
  EXPECT_EQ(plain->day, 5U);
  EXPECT_EQ(plain->second, 56U);
  const auto rfc = log_time("2026-11-25T12:41:56.123456+01:30 mx postfix/smtp[1]: x");
  ASSERT_TRUE(rfc);
  EXPECT_EQ(rfc->year, 2026);
  EXPECT_EQ(rfc->microseconds, 123456);
  EXPECT_EQ(rfc->offset, 90);
  EXPECT_EQ(log_time("2026-11-25T12:41:56Z x")->offset, 0);
  EXPECT_FALSE(log_time("2026-11-25 12:41:56 1abcDE-000001-AB => x")->offset);
  EXPECT_EQ(log_time("2026-11-25 12:41:56 -0800 1abcDE-000001-AB => x")->offset, -480);
  for (const char* line : {"", "Nov", "Foo 25 12:41:56 mx", "Nov 25 25:41:56 mx", "2026-13-25T12:41:56Z",
                           "Nov 00 12:41:56 mx", "99999999999999999999"}) {
    EXPECT_FALSE(log_time(line)) << line;
  }
}

std::string fields_of(const LogTime& t) {
  return fmt::format("{}-{:02}-{:02} {:02}:{:02}:{:02}.{:06} {} {}", t.year, t.month, t.day, t.hour, t.minute, t.second,
                     t.microseconds, t.offset ? fmt::format("{:+}", *t.offset) : "local", t.zone);
}

TEST(LogTimes, AreReadAsTheJournalPrintsThem) {
  const std::vector<std::pair<const char*, const char*>> forms = {
      {"Wed 2026-11-25 12:41:56 CET", "2026-11-25 12:41:56.000000 local CET"},
      {"Wed 2026-11-25 12:41:56 UTC", "2026-11-25 12:41:56.000000 +0 UTC"},
      {"Wed 2026-11-25 12:41:56.000123 CEST", "2026-11-25 12:41:56.000123 local CEST"},
      {"Wed 2026-11-25 12:41:56 +03", "2026-11-25 12:41:56.000000 +180 "},
      {"1795610516.000123", "2026-11-25 12:41:56.000123 +0 "},
      {"Nov 25 12:41:56.000123", "0-11-25 12:41:56.000123 local "},
      {"2026-11-25T12:41:56+0100", "2026-11-25 12:41:56.000000 +60 "}};
  for (const auto& [form, fields] : forms) {
    for (const std::string priority : {"", "<22>"}) {
      const std::string line = priority + form + " mx postfix/smtp[1]: A1C2A3B4D0: removed";
      const auto time = log_time(line);
      ASSERT_TRUE(time) << line;
      EXPECT_EQ(fields_of(*time), fields) << line;
      EXPECT_EQ(log_prefix(line).program, "postfix/smtp") << line;
      EXPECT_EQ(log_prefix(priority + form + " mx kernel: x").program, "kernel") << line;
    }
  }
}

TEST(LogTimes, ThereIsNoSuchDay) {
  EXPECT_TRUE(log_time("Feb 29 12:41:56 mx postfix/smtp[1]: x"));
  for (const char* line : {"Feb 30 12:41:56 mx x", "2026-02-29T12:41:56Z mx x", "Wed 2026-11-31 12:41:56 CET mx x",
                           "[ 1234.567890] mx postfix/smtp[1]: x", "1795610516 mx x", "<>Nov 25 12:41:56 mx x"}) {
    EXPECT_FALSE(log_time(line)) << line;
  }
}

TEST(LogEvents, PostfixIsReadByKey) {
  const auto event = read_log_event(
      "Nov 29 10:00:01 mail out/relay/smtp[71]: 4jZK7S3Hpsz1fxXq: to=<ann@there.example>, orig_to=<a@here.example>, "
      "tls=verified, relay=mx.there.example[192.0.2.9]:25, conn_use=2, delay=1.2, delays=0.1/0/1/0.1, novelty=x, "
      "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9F1C2A3B4D)");
  EXPECT_EQ(event.kind, Kind::attempt);
  EXPECT_EQ(event.mta, LogMta::postfix);
  EXPECT_EQ(event.id, "4jZK7S3Hpsz1fxXq");
  EXPECT_EQ(event.recipient, "ann@there.example");
  EXPECT_EQ(event.original, "a@here.example");
  EXPECT_EQ(event.relay, "mx.there.example[192.0.2.9]:25");
  EXPECT_EQ(event.dsn, "2.0.0");
  EXPECT_EQ(event.status, "sent");
  EXPECT_EQ(event.next, "9F1C2A3B4D");
}

TEST(LogEvents, PostfixTellsOfAMessage) {
  const auto client = read_log_event(
      "Nov 29 10:00:01 mail postfix/submission/smtpd[71]: 9F1C2A3B4D: client=c.example[2001:db8::1], "
      "sasl_method=PLAIN, "
      "sasl_username=alice@here.example");
  EXPECT_EQ(client.kind, Kind::client);
  EXPECT_EQ(client.client_name, "c.example");
  EXPECT_EQ(client.client_ip, "2001:db8::1");
  EXPECT_EQ(client.user, "alice@here.example");
  EXPECT_EQ(client.mechanism, "PLAIN");
  const auto pickup = read_log_event(
      "Nov 29 10:00:01 mail postfix/pickup[71]: 9F1C2A3B4D: uid=0 from=<bob@here.example> orig_id=AF1C2A3B4D");
  EXPECT_TRUE(pickup.local);
  EXPECT_EQ(pickup.sender, "bob@here.example");
  EXPECT_EQ(pickup.next, "AF1C2A3B4D");
  const auto queued = read_log_event(
      "Nov 29 10:00:01 mail postfix/qmgr[71]: 9F1C2A3B4D: from=<a@b.example>, size=297, nrcpt=12 (queue active)");
  EXPECT_EQ(queued.kind, Kind::sender);
  EXPECT_EQ(queued.size, 297);
  EXPECT_EQ(queued.recipients, 12);
  EXPECT_EQ(read_log_event("Nov 29 10:00:01 mail postfix/qmgr[71]: 9F1C2A3B4D: removed").kind, Kind::removed);
  EXPECT_EQ(read_log_event("Nov 29 10:00:01 mail postfix/qmgr[71]: 9F1C2A3B4D: from=<a@b.example>, status=expired, "
                           "returned to sender")
                .kind,
            Kind::expired);
  const auto notice = read_log_event(
      "Nov 29 10:00:01 mail postfix/bounce[71]: 9F1C2A3B4D: sender non-delivery notification: AF1C2A3B4D");
  EXPECT_EQ(notice.kind, Kind::notice);
  EXPECT_EQ(notice.next, "AF1C2A3B4D");
}

TEST(LogEvents, ARefusalMayHaveNoEnvelope) {
  const std::string lead = "Nov 30 13:55:58 mx postfix/smtpd[81]: NOQUEUE: reject: VRFY from c[192.0.2.1]: 502 5.5.1 ";
  for (const char* end : {"; proto=SMTP", "; proto=ESMTP helo=<c.example>"}) {
    EXPECT_EQ(read_log_event(lead + "VRFY command is disabled" + end).text, "502 5.5.1 VRFY command is disabled");
  }
  const std::string hostile = "no; proto=SMTP for you";
  EXPECT_EQ(read_log_event(lead + hostile).text, "502 5.5.1 " + hostile);
}

TEST(LogEvents, SendmailRefusesAWholeMessage) {
  const std::string lead = "Nov 30 13:55:58 mx sm-mta[81]: 6AUDtwqh008107: ";
  for (const char* stage : {"header", "data", "body", "eom"}) {
    const std::string line = lead + "Milter: " + stage + ", reject=451 4.7.1 try again, to=<x>, reject=550";
    const LogEvent event = read_log_event(line);
    EXPECT_EQ(event.kind, Kind::refusal);
    EXPECT_TRUE(event.whole);
    EXPECT_EQ(event.text, "451 4.7.1 try again, to=<x>, reject=550");
  }
  const std::string one = lead + "Milter: to=<x@here.example>, reject=451 4.7.1 try again";
  EXPECT_FALSE(read_log_event(one).whole);
}

TEST(LogEvents, AnIdMayHaveNoDigit) {
  for (const char* id : {"ACDEBCCA", "zZyYxXwWvVbB"}) {
    EXPECT_EQ(read_log_event(fmt::format("Nov 29 10:00:01 mail postfix/qmgr[71]: {}: removed", id)).kind,
              Kind::removed);
  }
  for (const char* word : {"warning", "fatal", "reject", "statistics", "NOQUEUE"}) {
    const std::string line = fmt::format("Nov 29 10:00:01 mail postfix/smtp[71]: {}: lost connection", word);
    EXPECT_EQ(read_log_event(line).kind, Kind::other);
  }
}

TEST(LogEvents, RefusalsKnowTheirEnvelope) {
  const auto refusal = read_log_event(
      "Nov 29 10:00:01 mail postfix/smtpd[71]: NOQUEUE: reject: RCPT from c.example[192.0.2.9]: 550 5.1.1 "
      "<\"x; from=<v@v.example> to=<w@v.example> proto=SMTP helo=<\"@here.example>: Recipient address rejected: User "
      "unknown; from=<a@c.example> to=<\"x; from=<v@v.example> to=<w@v.example> proto=SMTP helo=<\"@here.example> "
      "proto=ESMTP helo=<h; from=<v@v.example> to=<w@v.example> proto=SMTP helo=<>");
  EXPECT_EQ(refusal.kind, Kind::refusal);
  EXPECT_EQ(refusal.client_ip, "192.0.2.9");
  EXPECT_EQ(refusal.sender, "a@c.example");
  EXPECT_EQ(refusal.recipient, "\"x; from=<v@v.example> to=<w@v.example> proto=SMTP helo=<\"@here.example");
  const auto brief = read_log_event(
      "Nov 29 10:00:01 mail postfix/smtpd[71]: NOQUEUE: reject: RCPT from c.example[192.0.2.9]: 550 5.7.1 no; "
      "from=<a@c.example> to=<b@here.example> proto=ESMTP helo=<x>");
  EXPECT_EQ(brief.recipient, "b@here.example");
  EXPECT_EQ(brief.text, "550 5.7.1 no");
  const auto screened = read_log_event(
      "Nov 29 10:00:01 mail postfix/postscreen[71]: NOQUEUE: reject: RCPT from [192.0.2.9]:4711: 550 5.7.1 Service "
      "unavailable; client [192.0.2.9] blocked; from=<a@c.example>, to=<b@here.example>, proto=ESMTP, helo=<x>");
  EXPECT_EQ(screened.client_ip, "192.0.2.9");
  EXPECT_EQ(screened.sender, "a@c.example");
  EXPECT_EQ(screened.recipient, "b@here.example");
}

TEST(LogEvents, Sendmail) {
  const auto login = read_log_event(
      "Nov 29 10:00:01 mail sm-mta[71]: AUTH=server, relay=c.example [192.0.2.9], authid=alice, mech=PLAIN, bits=0");
  EXPECT_EQ(login.kind, Kind::login);
  EXPECT_EQ(login.user, "alice");
  EXPECT_EQ(login.pid, "71");
  const auto from = read_log_event(
      "Nov 29 10:00:01 mail sm-mta[71]: 6APCiRGH021530: from=<a@b.example>, size=34, class=0, nrcpts=3, "
      "msgid=<x, relay=evil [192.0.2.66]>, proto=ESMTPA, daemon=MTA, relay=c.example [192.0.2.9]");
  EXPECT_EQ(from.kind, Kind::sender);
  EXPECT_EQ(from.recipients, 3);
  EXPECT_EQ(from.client_ip, "192.0.2.9");
  const auto to = read_log_event(
      "Nov 29 10:00:01 mail sm-mta[71]: 6APCiRGH021530: to=<a@b.example>,<c@b.example>, ctladdr=<x@y.example> (1/1), "
      "delay=00:00:02, xdelay=00:00:01, mailer=esmtp, tls_verify=NO, pri=90034, relay=mx.b.example. [192.0.2.9], "
      "dsn=2.0.0, stat=Sent (ok, dsn=5.1.1, stat=User unknown)");
  EXPECT_EQ(to.kind, Kind::attempt);
  EXPECT_EQ(to.recipient, "<a@b.example>,<c@b.example>");
  EXPECT_EQ(to.dsn, "2.0.0");
  EXPECT_EQ(to.status, "Sent");
}

// As Sendmail 8.17 writes it: nothing is said of each recipient.
TEST(LogEvents, SendmailTellsThatMailIsTooOld) {
  for (const char* how : {"DSN", "sender notify", "postmaster notify", "return to sender"}) {
    const std::string line = fmt::format(
        "Nov 30 13:09:05 mx sm-mta[48]: 6AUD8xns000034: 6AUD95DE000048: {}: Cannot send message for 5 days", how);
    const auto event = read_log_event(line);
    EXPECT_EQ(event.kind, Kind::expired) << how;
    EXPECT_EQ(event.id, "6AUD8xns000034");
    EXPECT_EQ(event.next, "6AUD95DE000048");
  }
  for (const char* what : {"DSN: User unknown", "sender notify: Warning: could not send message for past 4 hours",
                           "DSN: <a@b.example>... Cannot send message for 5 days"}) {
    const auto event =
        read_log_event(fmt::format("Nov 30 13:09:05 mx sm-mta[48]: 6AUD8xns000034: 6AUD95DE000048: {}", what));
    EXPECT_EQ(event.kind, Kind::notice) << what;
  }
}

TEST(LogEvents, TellWhereNobodyWasAsked) {
  const auto unasked = [](const std::string& line) {
    const auto event = read_log_event(line);
    EXPECT_EQ(event.kind, Kind::attempt) << line;
    return event.unasked;
  };
  const std::string postfix = "Nov 30 13:09:05 mx postfix/error[4]: 4jZK7S3Hpsz1fxXq: to=<a@b.example>, relay=";
  EXPECT_TRUE(unasked(postfix + "none, delay=1, delays=0/0/0/0, dsn=5.1.3, status=bounced (bad address syntax)"));
  EXPECT_FALSE(unasked(postfix + "local, delay=1, delays=0/0/0/0, dsn=5.1.1, status=bounced (unknown user: \"a\")"));
  const std::string sendmail =
      "Nov 30 13:09:05 mx sm-mta[48]: 6AUD8xns000034: to=<a@b.example>, delay=00:00:01, mailer=";
  EXPECT_TRUE(unasked(sendmail + "esmtp, pri=1, relay=b.example., dsn=5.1.2, stat=Host unknown"));
  EXPECT_TRUE(unasked(sendmail + "error, pri=1, dsn=5.1.1, stat=User unknown"));
  EXPECT_TRUE(unasked(sendmail + "relay, pri=1, relay=[none], dsn=5.1.1, stat=User unknown"));
  EXPECT_FALSE(unasked(sendmail + "esmtp, pri=1, relay=[192.0.2.9] [192.0.2.9], dsn=5.1.1, stat=User unknown"));
  EXPECT_FALSE(unasked(sendmail + "local, pri=1, dsn=5.1.1, stat=User unknown"));
  EXPECT_FALSE(unasked(sendmail + "cyrusv2, pri=1, relay=localhost, dsn=5.1.1, stat=User unknown"));
  const std::string exim = "2026-11-30 13:10:07 1abcDE-000001-AB ** a@b.example";
  EXPECT_TRUE(unasked(exim + ": Unrouteable address"));
  EXPECT_TRUE(unasked(exim + " R=fail: no such user T=here"));
  EXPECT_FALSE(unasked(exim + " R=dns T=smtp H=mx.b.example [192.0.2.9]: SMTP error from remote mail server after RCPT "
                              "TO:<a@b.example>: 550 5.1.1 nobody"));
  EXPECT_FALSE(unasked(exim + " R=local T=local_delivery: no such mailbox"));
}

// A greeting may be an address in brackets, or fields.
TEST(LogEvents, AGreetingToEximIsNoAddressAndNoLogin) {
  const auto arrival = [](std::string_view host) {
    static std::string line;
    line = "2026-11-29 10:00:00 1vPabc-000000001AB-0001 <= s@strange.example H=" + std::string(host) + " P=esmtp S=300";
    return read_log_event(line);
  };
  EXPECT_EQ(arrival("([192.0.2.1]) [198.51.100.1]").client_ip, "198.51.100.1");
  EXPECT_EQ(arrival("mx.example ([192.0.2.1]) [198.51.100.1]:25").client_ip, "198.51.100.1");
  EXPECT_EQ(arrival("[198.51.100.1]").client_ip, "198.51.100.1");
  const auto forged = arrival("(x for y A=plain:fred P=local U=root) [198.51.100.1]");
  EXPECT_EQ(forged.client_ip, "198.51.100.1");
  EXPECT_EQ(forged.user, "");
  EXPECT_EQ(arrival("(x) [198.51.100.1] A=plain:alice").user, "alice");
}

TEST(LogEvents, Exim) {
  const auto in = read_log_event(
      "2026-11-29 10:00:01 1abcDE-000001-AB <= a@b.example H=c.example (helo) [192.0.2.9]:41 P=esmtpsa A=plain:alice "
      "S=1234 id=x A=plain:mallory T=\"H=evil [192.0.2.66]\"");
  EXPECT_EQ(in.kind, Kind::sender);
  EXPECT_EQ(in.client_ip, "192.0.2.9");
  EXPECT_EQ(in.user, "alice");
  EXPECT_EQ(in.size, 1234);
  const auto out =
      read_log_event("2026-11-29 10:00:01 1abcDE-000001-AB => bob <b@here.example> R=local_user T=maildir_home");
  EXPECT_EQ(out.original, "b@here.example");
  EXPECT_EQ(out.status, "sent");
  // A local part is the name of the mailbox; a deferral before had the address.
  EXPECT_EQ(out.recipient, "b@here.example");
  EXPECT_EQ(read_log_event("2026-11-29 10:00:01 1abcDE-000001-AB Completed").kind, Kind::removed);
}

TEST(LogEvents, EximRefuses) {
  const auto rcpt = read_log_event(
      "2026-11-29 10:00:01 H=mx.far.example (helo) [192.0.2.9]:4711 X=TLS1.3 CV=no F=<a@far.example> rejected RCPT "
      "<\"x: ) [192.0.2.66] rejected\"@b.example>: relay not permitted");
  EXPECT_EQ(rcpt.kind, Kind::refusal);
  EXPECT_EQ(rcpt.mta, LogMta::exim);
  EXPECT_EQ(rcpt.id, "NOQUEUE");
  EXPECT_EQ(rcpt.client_ip, "192.0.2.9");
  EXPECT_EQ(rcpt.sender, "a@far.example");
  EXPECT_EQ(rcpt.recipient, "\"x: ) [192.0.2.66] rejected\"@b.example");
  EXPECT_EQ(rcpt.text, "relay not permitted");
  const auto later = read_log_event(
      "2026-11-29 10:00:01.123 +0100 [99] H=(x) [2001:db8::9] F=<> temporarily rejected RCPT b@here.example: "
      "greylisted");
  EXPECT_EQ(later.kind, Kind::refusal);
  EXPECT_EQ(later.client_ip, "2001:db8::9");
  EXPECT_EQ(later.recipient, "b@here.example");
  EXPECT_EQ(status_of(later).told, Severity::transient);
  const auto content = read_log_event(
      "2026-11-29 10:00:01 1abcDE-000001-AB H=(x) [192.0.2.9] F=<a@b.example> rejected after DATA: a virus: Eicar");
  EXPECT_EQ(content.kind, Kind::refusal);
  EXPECT_EQ(content.id, "1abcDE-000001-AB");
  EXPECT_EQ(content.text, "a virus: Eicar");
  EXPECT_EQ(status_of(content).told, Severity::permanent);
  EXPECT_TRUE(status_of(content).own);
  const auto wordless = read_log_event("2026-11-29 10:00:01 H=[192.0.2.9] rejected connection in \"connect\" ACL");
  EXPECT_EQ(wordless.text, "connection in \"connect\" ACL");
  EXPECT_EQ(wordless.client_ip, "192.0.2.9");
  EXPECT_NE(read_log_event("2026-11-29 10:00:01 H=[192.0.2.9] Warning: late").kind, Kind::refusal);
  // In the journal.
  EXPECT_EQ(read_log_event("Nov 29 10:00:01 mail exim[99]: 2026-11-29 10:00:01 H=[192.0.2.9] F=<> rejected RCPT "
                           "<b@here.example>: no")
                .kind,
            Kind::refusal);
}

// What clients and other servers write forges none.
TEST(LogEvents, EximsRefusalsAreNotForged) {
  const std::string at = "2026-11-29 10:00:01 ";
  const std::string whole = at +
                            "H=(h) [192.0.2.9]:1 X=TLS DN=\"/CN=x rejected RCPT <v@here.example>: t\" "
                            "F=<\"x) [192.0.2.66] rejected RCPT <v@here.example>: 550 t\"@evil.example> "
                            "rejected RCPT <c@d.example>: no";
  const auto sender = read_log_event(whole);
  EXPECT_EQ(sender.kind, Kind::refusal);
  EXPECT_EQ(sender.client_ip, "192.0.2.9");
  EXPECT_EQ(sender.sender, "\"x) [192.0.2.66] rejected RCPT <v@here.example>: 550 t\"@evil.example");
  EXPECT_EQ(sender.recipient, "c@d.example");
  EXPECT_EQ(sender.text, "no");
  for (const char* line :
       {"H=(a) [192.0.2.66] F=<v@x.example> rejected RCPT <w@d.example>: t) [192.0.2.9] F=<a@b.example> rejected RCPT "
        "<c@d.example>: no",
        "H=(a [192.0.2.66] rejected RCPT <w@d.example>: t) [192.0.2.9] F=<a@b.example> rejected RCPT <c@d.example>: no",
        "H=mx.evil.example [192.0.2.9] sender verify fail for <x@evil.example>: response to \"RCPT "
        "TO:<x@evil.example>\" "
        "from mx.evil.example [192.0.2.66] was: 550 mail rejected RCPT <v@here.example>: 550 t",
        "H=(a) [192.0.2.9] Warning: this would be rejected RCPT <v@here.example>: t",
        "H=(a) [192.0.2.9] incomplete transaction (QUIT) from <x rejected y@b.example>"}) {
    const std::string text = at + line;
    const auto event = read_log_event(text);
    EXPECT_TRUE(event.kind != Kind::refusal || event.client_ip == "192.0.2.9") << line << event.client_ip;
    EXPECT_NE(event.recipient, "v@here.example") << line;
    EXPECT_NE(event.recipient, "w@d.example") << line;
  }
}

TEST(LogEvents, EximQuotesLocalParts) {
  const auto in = read_log_event(
      "2026-11-29 10:00:01 1abcDE-000001-AB <= \"a \\\" H=x [192.0.2.66]\"@b.example H=c.example [192.0.2.9] P=esmtp "
      "S=1");
  EXPECT_EQ(in.sender, "\"a \\\" H=x [192.0.2.66]\"@b.example");
  EXPECT_EQ(in.client_ip, "192.0.2.9");
  const auto out = read_log_event(
      "2026-11-29 10:00:01 1abcDE-000001-AB ** \"x: y\"@far.example R=dns T=smtp H=mx.far.example [192.0.2.9]: 550 no");
  EXPECT_EQ(out.recipient, "\"x: y\"@far.example");
  EXPECT_EQ(out.text, "550 no");
  const auto open = read_log_event("2026-11-29 10:00:01 1abcDE-000001-AB <= \"a@b.example H=c [192.0.2.9] P=esmtp");
  EXPECT_EQ(open.sender, "\"a@b.example");
}

// What strangers write, made of the words that lines are made of.
class Hostile {
 public:
  explicit Hostile(unsigned seed) : random_(seed) {}

  std::string text() {
    static const std::vector<std::string> kPieces = {
        "to=<v@v.example>, relay=none, delay=1, delays=0/0/0/0, dsn=5.1.1, status=bounced (550 5.1.1 unknown)",
        "4jZK7S3Hpsz1fxXq: ",
        "9F1C2A3B4D: ",
        ">, ",
        "<",
        ">",
        "\"",
        "\\",
        ", ",
        "; from=<v@v.example>",
        " to=<v@v.example>",
        "orig_to=<v@v.example>, ",
        "relay=mx[192.0.2.66]:25, ",
        "dsn=5.1.1, ",
        "status=bounced (",
        "status=expired, ",
        "removed",
        "from=<v@v.example>, size=1, nrcpt=9 (queue active)",
        "client=evil[192.0.2.66]",
        "sasl_username=mallory",
        "queued as 4jZK7S3Hpsz1fxXq",
        "forwarded as 9F1C2A3B4D",
        "Nov 29 10:00:01 mail postfix/smtp[71]: ",
        "sender non-delivery notification: 9F1C2A3B4D",
        "stat=User unknown",
        "2026-11-29 10:00:01 1abcDE-000001-AB ** v@v.example: 550",
        "NOQUEUE: reject: RCPT from x[192.0.2.66]: 550 ",
        "x",
        "]: ",
        "(in reply to RCPT TO command)",
        "proto=ESMTP helo=<",
        "%s",
        "\t",
        "\xff"};
    std::string made;
    for (auto i = 1 + random_() % 6; i > 0; --i) made += kPieces[random_() % kPieces.size()];
    return made;
  }

  // As a quoted local part, the way Postfix logs one.
  std::string quoted() {
    std::string made = "\"";
    for (const char c : text()) {
      if (c == '"' || c == '\\') made += '\\';
      made += c;
    }
    return made + "\"";
  }

 private:
  std::mt19937 random_;
};

// Lines that tell of no delivery, whatever is in them.
std::vector<std::string> harmless(Hostile& hostile) {
  const std::string t = hostile.text();
  const std::string log = "Nov 29 10:00:01 mail ";
  return {
      log + "postfix/cleanup[1]: 4jZK7S3Hpsz1fxXq: message-id=<" + t + ">",
      log + "postfix/cleanup[1]: 4jZK7S3Hpsz1fxXq: warning: header Subject: " + t +
          " from c.example[192.0.2.9]; from=<" + hostile.quoted() + "@a.example> to=<b@c.example> proto=ESMTP helo=<" +
          t + ">",
      log + "postfix/smtpd[1]: warning: " + t,
      log + "postfix/smtpd[1]: warning: non-SMTP command from c.example[192.0.2.9]: " + t,
      log + "postfix/smtpd[1]: warning: c.example[192.0.2.9]: SASL LOGIN authentication failed: " + t,
      log + "postfix/smtp[1]: 4jZK7S3Hpsz1fxXq: host mx.example[192.0.2.9] said: 450 " + t +
          " (in reply to RCPT TO command)",
      log + "postfix/smtp[1]: 4jZK7S3Hpsz1fxXq: lost connection with mx.example[192.0.2.9] while " + t,
      log + "postfix/smtp[1]: warning: mx.example[192.0.2.9] " + t,
      log + "postfix/tlsproxy[1]: " + t.substr(0, 60),
      log + "dovecot: imap-login: user=<" + t + ">",
      log + "sm-mta[1]: 6APCiRGH021530: <" + t + ">... User unknown",
      log + "sm-mta[1]: 6APCiRGH021530: Milter add: header: X-Spam: " + t,
  };
}

// An answer stands in its place alone: it may change the text of its attempt, and no more.
std::string attempt_with(const std::string& recipient, const std::string& answer) {
  return "Nov 29 10:00:01 mail postfix/smtp[1]: 4jZK7S3Hpsz1fxXq: to=<" + recipient +
         ">, relay=mx.example[192.0.2.9]:25, delay=1, delays=0/0/1/0, dsn=4.2.0, status=deferred (host "
         "mx.example[192.0.2.9] said: 450 4.2.0 " +
         answer + " (in reply to RCPT TO command))";
}

TEST(LogEvents, TenThousandHostileTextsMakeNoEvent) {
  Hostile hostile(20261129);
  int texts = 0;
  while (texts < 12000) {
    for (const std::string& line : harmless(hostile)) {
      const LogEvent event = read_log_event(line);
      ++texts;
      // A Message-ID is a stranger's word, and is told as that alone.
      const bool named = event.kind == Kind::named && event.status.empty() && event.recipient.empty();
      EXPECT_TRUE(named || event.kind == Kind::other || event.kind == Kind::none) << line;
    }
    const std::string recipient = hostile.quoted() + "@there.example";
    const std::string line = attempt_with(recipient, hostile.text());
    const LogEvent event = read_log_event(line);
    ++texts;
    ASSERT_EQ(event.kind, Kind::attempt) << line;
    EXPECT_EQ(event.id, "4jZK7S3Hpsz1fxXq") << line;
    EXPECT_EQ(event.recipient, recipient) << line;
    EXPECT_EQ(event.dsn, "4.2.0") << line;
    EXPECT_EQ(event.status, "deferred") << line;
  }
}

// Keeps what a trail tells.
struct Told final : MailTrail::Listener {
  void mail(const LoggedMail& mail) override { mails.push_back(mail); }
  void attempt(Instant, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
               bool handed_on) override {
    attempts.push_back(
        fmt::format("{} {} {}{}", mail == nullptr ? "?" : mail->user, recipient, event.status, handed_on ? " on" : ""));
  }
  void refusal(Instant, const LogEvent& event) override { refusals.emplace_back(event.sender); }
  void expired(Instant, const LoggedMail* mail, std::string_view) override {
    attempts.push_back(mail == nullptr ? "?" : mail->user + " expired");
  }
  bool is_known(const LoggedMail& mail) override { return mail.id == known; }
  void gone(std::string_view id) override { attempts.push_back(fmt::format("{} is gone", id)); }
  void over(const LoggedMail& mail) override { ended.push_back(mail.id); }
  std::string known;
  std::vector<LoggedMail> mails;
  std::vector<std::string> ended;
  std::vector<std::string> attempts;
  std::vector<std::string> refusals;
};

MailTrail::Figures follow(Told& told, const std::vector<std::pair<int, std::string>>& lines) {
  MailTrail trail(told);
  for (const auto& [second, text] : lines) {
    const std::string line = "Nov 29 10:00:01 mail " + text;
    trail.take(Instant(std::chrono::seconds(1000000 + second)), read_log_event(line));
  }
  trail.finish();
  return trail.figures();
}

constexpr const char* kSent = ", relay=mx[192.0.2.9]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)";

TEST(MailTrails, AFilterHandsTheSenderOn) {
  Told told;
  const auto figures = follow(
      told, {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c.example[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
             {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
             {1, "postfix/smtpd[2]: B1C2A3B4D0: client=localhost[127.0.0.1]"},
             {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=12, nrcpt=1 (queue active)"},
             {2,
              "postfix/smtp[3]: A1C2A3B4D0: to=<b@there.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, "
              "delays=0/0/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as B1C2A3B4D0)"},
             {2, "postfix/qmgr[1]: A1C2A3B4D0: removed"},
             {3, std::string("postfix/smtp[3]: B1C2A3B4D0: to=<b@there.example>") + kSent},
             {3, "postfix/qmgr[1]: B1C2A3B4D0: removed"}});
  ASSERT_EQ(told.mails.size(), 1U);
  EXPECT_EQ(told.mails[0].user, "alice");
  EXPECT_EQ(told.mails[0].recipients, std::vector<std::string>{"b@there.example"});
  EXPECT_EQ(told.attempts, (std::vector<std::string>{"alice b@there.example sent on", "alice b@there.example sent"}));
  EXPECT_EQ(std::ranges::count(told.ended, "A1C2A3B4D0"), 1);
  EXPECT_EQ(figures.orphans, 0);
}

// What a filter hands back may be delivered before the filter has answered.
TEST(MailTrails, AFilterMayAnswerLate) {
  const auto lines = [](int answer) {
    return std::vector<std::pair<int, std::string>>{
        {0, "postfix/smtpd[1]: A1C2A3B4D0: client=c.example[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
        {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
        {1, "postfix/smtpd[2]: B1C2A3B4D0: client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=second"},
        {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=12, nrcpt=1 (queue active)"},
        {1, std::string("postfix/smtp[3]: B1C2A3B4D0: to=<b@there.example>") + kSent},
        {1, "postfix/qmgr[1]: B1C2A3B4D0: removed"},
        {answer,
         "postfix/smtp[3]: A1C2A3B4D0: to=<b@there.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, "
         "delays=0/0/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as B1C2A3B4D0)"},
        {answer, "postfix/qmgr[1]: A1C2A3B4D0: removed"},
        {answer + 40, "postfix/qmgr[1]: C1C2A3B4D0: removed"}};
  };
  for (const int answer : {1, 5, 20}) {
    Told told;
    follow(told, lines(answer));
    EXPECT_EQ(told.attempts, (std::vector<std::string>{"alice b@there.example sent", "alice b@there.example sent on",
                                                       "B1C2A3B4D0 is gone"}));
    ASSERT_EQ(told.mails.size(), 1U);
    EXPECT_EQ(told.mails[0].user, "alice");
  }
  // Nothing that is known waits, and nothing waits forever.
  Told known;
  known.known = "B1C2A3B4D0";
  follow(known, lines(1));
  EXPECT_EQ(known.attempts.front(), "second b@there.example sent");
  Told alone;
  auto few = lines(1);
  std::erase_if(few, [](const auto& line) { return line.second.find("A1C2A3B4D0: ") != std::string::npos; });
  follow(alone, few);
  EXPECT_EQ(alone.attempts, std::vector<std::string>{"second b@there.example sent"});
  EXPECT_EQ(alone.mails.size(), 1U);
}

// Its end comes behind what was deferred before it.
TEST(MailTrails, WhatIsGivenUpWhileItWaitsEndsInItsOrder) {
  Told told;
  follow(told, {{0, "postfix/smtpd[2]: B1C2A3B4D0: client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=bob"},
                {0, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=12, nrcpt=1 (queue active)"},
                {1,
                 "postfix/smtp[3]: B1C2A3B4D0: to=<b@there.example>, relay=none, delay=1, delays=0/0/1/0, dsn=4.4.1, "
                 "status=deferred (timed out)"},
                {2, "postfix/postsuper[4]: B1C2A3B4D0: removed"}});
  EXPECT_EQ(told.attempts, (std::vector<std::string>{"bob b@there.example deferred", "bob expired"}));
}

// The second filter's message is delivered before either has answered.
TEST(MailTrails, TwoFiltersMayAnswerLate) {
  Told told;
  const auto answer = [](const char* id, const char* next) {
    return fmt::format(
        "postfix/smtp[3]: {}: to=<b@there.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/1/0, "
        "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {})",
        id, next);
  };
  follow(told,
         {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c.example[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
          {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
          {1, "postfix/smtpd[2]: B1C2A3B4D0: client=localhost[127.0.0.1]"},
          {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=12, nrcpt=1 (queue active)"},
          {1, "postfix/smtpd[2]: C1C2A3B4D0: client=localhost[127.0.0.1]"},
          {1, "postfix/qmgr[1]: C1C2A3B4D0: from=<a@here.example>, size=12, nrcpt=1 (queue active)"},
          {1, std::string("postfix/smtp[3]: C1C2A3B4D0: to=<b@there.example>") + kSent},
          {2, answer("B1C2A3B4D0", "C1C2A3B4D0")},
          {2, answer("A1C2A3B4D0", "B1C2A3B4D0")},
          {3, std::string("postfix/smtp[3]: C1C2A3B4D0: to=<c@there.example>") + kSent}});
  EXPECT_EQ(told.attempts, (std::vector<std::string>{"alice b@there.example sent", "alice b@there.example sent on",
                                                     "alice b@there.example sent on", "alice c@there.example sent"}));
  EXPECT_EQ(told.mails.size(), 1U);
}

TEST(MailTrails, ARemoteServerHandsNothingOn) {
  Told told;
  follow(
      told,
      {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c.example[192.0.2.1], sasl_method=PLAIN, sasl_username=victim"},
       {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
       {1, "postfix/smtpd[2]: B1C2A3B4D0: client=evil.example[192.0.2.66], sasl_method=PLAIN, sasl_username=mallory"},
       {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<m@here.example>, size=12, nrcpt=1 (queue active)"},
       {2,
        "postfix/smtp[3]: A1C2A3B4D0: to=<b@evil.example>, relay=mx.evil.example[192.0.2.77]:25, delay=1, "
        "delays=0/0/1/0, dsn=2.0.0, status=sent (250 queued as B1C2A3B4D0)"},
       {3, std::string("postfix/smtp[3]: B1C2A3B4D0: to=<b@there.example>") + kSent}});
  EXPECT_EQ(told.mails.size(), 2U);
  EXPECT_EQ(told.attempts[1], "mallory b@there.example sent");
}

TEST(MailTrails, AShortIdIsUsedAgain) {
  Told told;
  const auto figures =
      follow(told, {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
                    {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
                    {1, std::string("postfix/smtp[3]: A1C2A3B4D0: to=<b@there.example>") + kSent},
                    {1, "postfix/qmgr[1]: A1C2A3B4D0: removed"},
                    {2, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=bob"},
                    {2, "postfix/qmgr[1]: A1C2A3B4D0: from=<b@here.example>, size=10, nrcpt=1 (queue active)"},
                    {3, std::string("postfix/smtp[3]: A1C2A3B4D0: to=<b@there.example>") + kSent}});
  EXPECT_EQ(told.attempts, (std::vector<std::string>{"alice b@there.example sent", "bob b@there.example sent"}));
  EXPECT_EQ(figures.mails, 2);
}

TEST(MailTrails, WordToTheSenderIsNobodysMail) {
  Told told;
  const auto figures = follow(
      told, {{0, "postfix/pickup[1]: A1C2A3B4D0: uid=0 from=<bob@here.example>"},
             {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<bob@here.example>, size=10, nrcpt=1 (queue active)"},
             {1,
              "postfix/smtp[3]: A1C2A3B4D0: to=<b@there.example>, relay=none, delay=1, delays=0/0/1/0, dsn=5.4.4, "
              "status=bounced (no such host)"},
             {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<>, size=2466, nrcpt=1 (queue active)"},
             {1, "postfix/bounce[1]: A1C2A3B4D0: sender non-delivery notification: B1C2A3B4D0"},
             {1, "postfix/qmgr[1]: A1C2A3B4D0: removed"},
             {2, std::string("postfix/local[3]: B1C2A3B4D0: to=<bob@here.example>") + kSent},
             {2, "postfix/qmgr[1]: B1C2A3B4D0: removed"}});
  EXPECT_EQ(told.mails.size(), 1U);
  EXPECT_TRUE(told.mails[0].local);
  EXPECT_EQ(figures.attempts, 2);
  EXPECT_EQ(figures.notices, 1);
  EXPECT_EQ(figures.orphans, 0);
}

TEST(MailTrails, MailThatIsTooOldIsItsSenders) {
  Told told;
  follow(told, {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
                {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@b.example>, size=10, nrcpt=1 (queue active)"},
                {9, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@b.example>, status=expired, returned to sender"}});
  EXPECT_EQ(told.attempts, std::vector<std::string>{"alice expired"});
}

TEST(MailTrails, AnAliasIsOneRecipient) {
  Told told;
  follow(told,
         {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1]"},
          {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@b.example>, size=10, nrcpt=2 (queue active)"},
          {1, std::string("postfix/smtp[3]: A1C2A3B4D0: to=<x@there.example>, orig_to=<all@here.example>") + kSent},
          {1, std::string("postfix/smtp[3]: A1C2A3B4D0: to=<y@there.example>, orig_to=<all@here.example>") + kSent}});
  EXPECT_EQ(told.mails[0].recipients, std::vector<std::string>{"all@here.example"});
}

TEST(MailTrails, WhatIsPutBackInTheQueueIsTheSameMail) {
  Told told;
  follow(told,
         {{0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=2 (queue active)"},  // too early
          {0, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
          {1, "postfix/pickup[1]: B1C2A3B4D0: uid=103 from=<a@here.example> orig_id=A1C2A3B4D0"},
          {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=2 (queue active)"},
          {2, std::string("postfix/smtp[3]: B1C2A3B4D0: to=<x@there.example>") + kSent},
          {2, std::string("postfix/smtp[3]: B1C2A3B4D0: to=<y@there.example>") + kSent}});
  ASSERT_EQ(told.mails.size(), 1U);
  EXPECT_EQ(told.mails[0].sender, "a@here.example");
  EXPECT_EQ(told.mails[0].recipients.size(), 2U);
  EXPECT_EQ(told.attempts[1], "alice y@there.example sent");
}

TEST(MailTrails, WhatIsPutBackBeforeTheQueueHasSeenItIsNotLost) {
  Told told;
  follow(told, {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
                {1, "postfix/pickup[1]: B1C2A3B4D0: uid=103 from=<a@here.example> orig_id=A1C2A3B4D0"},
                {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
                {2, "postfix/pickup[1]: C1C2A3B4D0: uid=103 from=<a@here.example> orig_id=B1C2A3B4D0"},
                {2, "postfix/qmgr[1]: C1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
                {3, std::string("postfix/smtp[3]: C1C2A3B4D0: to=<x@there.example>") + kSent}});
  ASSERT_EQ(told.mails.size(), 1U);
  EXPECT_EQ(told.mails[0].sender, "a@here.example");
  EXPECT_EQ(told.mails[0].size, 10);
  EXPECT_EQ(told.mails[0].recipients, std::vector<std::string>{"x@there.example"});
  EXPECT_EQ(told.attempts, std::vector<std::string>{"alice x@there.example sent"});
}

TEST(MailTrails, LocalMaySayThatItForwardsBeforeTheQueueDoes) {
  Told told;
  follow(
      told,
      {{0,
        "postfix/qmgr[1]: B1C2A3B4D0: from=<old@here.example>, size=10, nrcpt=1 (queue active)"},  // had the id before
       {5, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
       {5, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
       {6,
        "postfix/local[4]: A1C2A3B4D0: to=<f@here.example>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (forwarded as B1C2A3B4D0)"},
       {6, "postfix/qmgr[1]: B1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
       {7, std::string("postfix/smtp[3]: B1C2A3B4D0: to=<x@there.example>") + kSent}});
  EXPECT_EQ(told.mails.size(), 1U);
  EXPECT_EQ(told.attempts, (std::vector<std::string>{"alice f@here.example sent on", "alice x@there.example sent"}));
}

TEST(MailTrails, WhatSendmailRefusesAtItsEndIsNoMail) {
  Told told;
  const auto figures = follow(
      told,
      {{0,
        "sm-mta[7]: 6AUDtwqh008107: from=<a@b.example>, size=32, class=0, nrcpts=2, msgid=<x>, proto=ESMTP, "
        "daemon=MTA, relay=c [192.0.2.1]"},
       {0, "sm-mta[7]: 6AUDtwqh008107: milter=spam, reject=550 5.7.1 Blocked, user unknown"},
       {0, "sm-mta[7]: 6AUDtwqh008107: Milter: data, reject=550 5.7.1 Blocked, user unknown"},
       {0, "sm-mta[7]: 6AUDtwqh008107: to=<x@here.example>, delay=00:00:00, pri=35075, stat=Blocked, user unknown"},
       {0, "sm-mta[7]: 6AUDtwqh008107: to=<y@here.example>, delay=00:00:00, pri=35075, stat=Blocked, user unknown"}});
  EXPECT_TRUE(told.mails.empty());
  EXPECT_TRUE(told.attempts.empty());
  EXPECT_EQ(figures.attempts, 0);
  EXPECT_EQ(told.refusals.size(), 1U);
}

TEST(MailTrails, HostsUseTheSameIds) {
  Told told;
  MailTrail trail(told);
  const auto line = [&](const char* host, const std::string& text) {
    const std::string whole = fmt::format("2026-11-29T10:00:01+01:00 {} {}", host, text);
    trail.take(Instant(std::chrono::seconds(1000000)), read_log_event(whole));
  };
  for (const char* host : {"mx1", "mx2", "mx3"}) {
    line(host,
         fmt::format("postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username={}", host));
    line(host,
         fmt::format("postfix/qmgr[1]: A1C2A3B4D0: from=<{}@here.example>, size=10, nrcpt=1 (queue active)", host));
  }
  line("mx2", "postfix/qmgr[1]: A1C2A3B4D0: removed");
  for (const char* host : {"mx3", "mx1"}) {
    line(host, std::string("postfix/smtp[3]: A1C2A3B4D0: to=<x@there.example>") + kSent);
  }
  trail.finish();
  EXPECT_EQ(told.mails.size(), 3U);
  EXPECT_EQ(told.attempts, (std::vector<std::string>{"mx3 x@there.example sent", "mx1 x@there.example sent"}));
}

TEST(LogEvents, NameTheirHost) {
  const auto host = [](std::string_view line) { return std::string(read_log_event(line).host); };
  const std::string rest = "postfix/qmgr[1]: A1C2A3B4D0: removed";
  EXPECT_EQ(host("Nov 29 10:00:01 mx1 " + rest), "mx1");
  EXPECT_EQ(host("2026-11-29T10:00:01.123456+01:00 mx1.here.example " + rest), "mx1.here.example");
  EXPECT_EQ(host("Nov 29 10:00:01 mx1 postfix/qmgr: A1C2A3B4D0: removed"), "mx1");
  EXPECT_EQ(host("Nov 29 10:00:01 " + rest), "");
  EXPECT_EQ(host("2026-11-29T10:00:01+01:00 " + rest), "");
  EXPECT_EQ(host(rest), "");
}

TEST(MailTrails, WordToASenderThatIsPutBackIsNoOrphan) {
  Told told;
  const auto figures =
      follow(told, {{0, "postfix/smtpd[1]: A1C2A3B4D0: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=alice"},
                    {0, "postfix/qmgr[1]: A1C2A3B4D0: from=<a@here.example>, size=10, nrcpt=1 (queue active)"},
                    {1, "postfix/bounce[4]: A1C2A3B4D0: sender non-delivery notification: B1C2A3B4D0"},
                    {1, "postfix/qmgr[1]: B1C2A3B4D0: from=<>, size=20, nrcpt=1 (queue active)"},
                    {2, "postfix/pickup[1]: C1C2A3B4D0: uid=103 from=<> orig_id=B1C2A3B4D0"},
                    {2, "postfix/qmgr[1]: C1C2A3B4D0: from=<>, size=20, nrcpt=1 (queue active)"},
                    {3, std::string("postfix/smtp[3]: C1C2A3B4D0: to=<a@here.example>") + kSent}});
  EXPECT_EQ(figures.notices, 1);
  EXPECT_EQ(figures.orphans, 0);
  EXPECT_EQ(figures.mails, 1);
  EXPECT_EQ(told.mails.size(), 1U);
}

TEST(MailTrails, SendmailsLoginIsOfItsProcess) {
  Told told;
  follow(told, {{0, "sm-mta[7]: AUTH=server, relay=c [192.0.2.1], authid=alice, mech=PLAIN, bits=0"},
                {0,
                 "sm-mta[7]: 6APCiRGH021530: from=<a@b.example>, size=34, class=0, nrcpts=2, msgid=<x>, proto=ESMTPA, "
                 "daemon=MTA, relay=c [192.0.2.1]"},
                {1,
                 "sm-mta[8]: 6APCiRGH021530: to=<x@there.example>,<y@there.example>, delay=00:00:01, xdelay=00:00:01, "
                 "mailer=esmtp, pri=1, relay=mx. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)"},
                {2,
                 "sm-mta[7]: 6APCiRGH021531: from=<b@b.example>, size=34, class=0, nrcpts=1, msgid=<x>, proto=ESMTP, "
                 "daemon=MTA, relay=d [192.0.2.2]"}});
  ASSERT_EQ(told.mails.size(), 2U);
  EXPECT_EQ(told.mails[0].user, "alice");
  EXPECT_EQ(told.mails[0].recipients.size(), 2U);
  EXPECT_EQ(told.mails[1].user, "");
}

TEST(MailTrails, MemoryIsBounded) {
  Told told;
  MailTrail trail(told);
  for (int i = 0; i < 250000; ++i) {
    const std::string line = fmt::format("Nov 29 10:00:01 mail postfix/smtpd[1]: {:08X}F0: client=c[192.0.2.1]", i);
    trail.take(Instant(std::chrono::milliseconds(i)), read_log_event(line));
  }
  EXPECT_GE(trail.figures().forgotten, 149000);
}

}  // namespace
}  // namespace replygate

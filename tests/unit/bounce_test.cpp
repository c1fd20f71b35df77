#include <fmt/format.h>
#include <gtest/gtest.h>

#include "milter/bounce/input.h"
#include "milter/bounce/markup.h"
#include "milter/bounce/mbox.h"
#include "milter/bounce/message.h"
#include "milter/bounce/report_ids.h"

namespace replygate {
namespace {

RemoteStatus only(const std::string& message) {
  const auto statuses = read_attempts(message);
  EXPECT_EQ(statuses.size(), 1U) << message;
  return statuses.empty() ? RemoteStatus{} : statuses.front();
}

// A bounce of one text, from a mailer daemon.
std::string bounce(const std::string& text, const std::string& more = "") {
  return "From: MAILER-DAEMON@mx.example\nTo: ann@here.example\nSubject: failure notice\n" + more + "\n" + text;
}

std::string report(const std::string& fields, const std::string& text = "It failed.\n",
                   const std::string& type = "message/delivery-status") {
  return "From: MAILER-DAEMON@mx.example\nTo: ann@here.example\nSubject: Undelivered\nMIME-Version: 1.0\n"
         "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\nContent-Type: "
         "text/plain\n\n" +
         text + "\n--b\nContent-Type: " + type + "\n\n" + fields +
         "\n--b\nContent-Type: message/rfc822\n\nFrom: ann@here.example\nSubject: 550 5.1.1 not a reply\n\n550 5.1.1 "
         "not one either\n--b--\n";
}

TEST(Bounce, DeliveryReport) {
  const auto status = only(report(
      "Reporting-MTA: dns; here.example\n\nFinal-Recipient: rfc822; bob@there.example\nAction: failed\n"
      "Status: 5.2.2\nRemote-MTA: dns; mx.there.example\nDiagnostic-Code: smtp; 552 5.2.2 his mailbox\n    is full\n"));
  EXPECT_EQ(status.recipient, "bob@there.example");
  EXPECT_EQ(status.host, "mx.there.example");
  EXPECT_EQ(status.code, 552);
  EXPECT_EQ(status.text, "his mailbox is full");
  EXPECT_EQ(status.told, Severity::permanent);
}

// As a customer's bounce arrives at a help desk.
constexpr const char* kQuoted =
    "> From: MAILER-DAEMON@here.example\n> To: ann@here.example\n> Subject: Undelivered Mail Returned to Sender\n>\n"
    "> This is the mail system at host here.example.\n>\n> <bob@there.example>: host mx.there.example[192.0.2.1] "
    "said: 550\n>     5.1.1 no such user (in reply to RCPT TO command)\n";

TEST(Bounce, QuotedIsReadAsIfItWereNot) {
  for (const std::string& text :
       {std::string(kQuoted), "Hello,\n\nwhat is this?\n\nAnn wrote:\n" + std::string(kQuoted),
        "From: ann@here.example\nTo: help@here.example\nSubject: my mail\n\nWhat is this?\n\n" +
            std::string(kQuoted)}) {
    const auto status = only(text);
    EXPECT_EQ(status.recipient, "bob@there.example") << text;
    EXPECT_EQ(status.code, 550) << text;
    EXPECT_EQ(status.enhanced, (EnhancedCode{5, 1, 1})) << text;
  }
  const auto deep = read_attempts("> > 550 5.1.1 <bob@there.example>:\n> > no such user\n");
  ASSERT_EQ(deep.size(), 1U);
  EXPECT_EQ(deep.front().code, 550);
  EXPECT_EQ(read_line("> 452 4.2.2 full").front().code, 452);
}

TEST(Bounce, AQuotationOfSomethingElseIsNoBounce) {
  const std::string mail = "From: ann@here.example\nTo: bob@there.example\nSubject: the meeting\n\nFine.\n\n";
  EXPECT_TRUE(read_attempts(mail + "> Is room 550 still free?\n> 5.1.1 is the number of the paragraph.\n").empty());
  EXPECT_TRUE(
      read_attempts(mail + std::string("> It could not be delivered: the shop is closed.\n> Come at 4:50.\n")).empty());
}

TEST(Bounce, SeveralRecipients) {
  const auto statuses = read_attempts(report(
      "Reporting-MTA: dns; here.example\n\nFinal-Recipient: rfc822; a@there.example\nAction: failed\nStatus: 5.1.1\n"
      "Diagnostic-Code: smtp; 550 5.1.1 nobody\n\nFinal-Recipient: rfc822; b@there.example\nAction: delayed\nStatus: "
      "4.4.1\n"));
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses[0].code, 550);
  EXPECT_FALSE(statuses[1].code);
  EXPECT_EQ(statuses[1].enhanced, (EnhancedCode{4, 4, 1}));
  EXPECT_EQ(statuses[1].told, Severity::transient);
}

TEST(Bounce, InternationalReport) {
  const auto status =
      only(report("Reporting-MTA: dns; here.example\n\nFinal-Recipient: utf-8; jürgen@there.example\nAction: failed\n"
                  "Status: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 niemand\n",
                  "x\n", "message/global-delivery-status"));
  EXPECT_EQ(status.recipient, "jürgen@there.example");
}

TEST(Bounce, EncodedReport) {
  const auto status = only(
      "From: MAILER-DAEMON@mx.example\nTo: a@here.example\nSubject: x\nMIME-Version: 1.0\n"
      "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: "
      "message/delivery-status\n"
      "Content-Transfer-Encoding: base64\n\n"
      "UmVwb3J0aW5nLU1UQTogZG5zOyBhCgpGaW5hbC1SZWNpcGllbnQ6IHJmYzgyMjsgYkB0aGVyZS5leGFtcGxlCkFjdGlvbjogZmFpbGVkClN0YXR1"
      "czogNS4xLjEK\n--b--\n");
  EXPECT_EQ(status.recipient, "b@there.example");
  EXPECT_EQ(status.enhanced, (EnhancedCode{5, 1, 1}));
}

TEST(Bounce, ReportsTextHelpsWhereItsFieldsAreSilent) {
  const auto status = only(
      report("Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; bob@there.example\nAction: failed\nStatus: 5.0.0\n",
             "<bob@there.example>: host mx.there.example[192.0.2.4] said: 554 no\n    thanks (in reply to RCPT TO "
             "command)\n"));
  EXPECT_EQ(status.code, 554);
  EXPECT_EQ(status.at, Command::rcpt);
}

std::string of_bob() {
  return report(
      "Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; bob@there.example\nAction: failed\nStatus: 5.1.1\n"
      "Diagnostic-Code: smtp; 550 5.1.1 nobody\n");
}

std::string handed_on(const std::string& fields, const std::string& message) {
  return "From: user@here.example\nTo: helpdesk@here.example\nSubject: Fwd: what is this?\nMIME-Version: 1.0\n"
         "Content-Type: multipart/mixed; boundary=fwd\n\n--fwd\nContent-Type: text/plain\n\nPlease help.\n"
         "--fwd\nContent-Type: message/rfc822\n" +
         fields + "\n" + message + "\n--fwd--\n";
}

TEST(Bounce, AReportThatSomebodyHandsOn) {
  const auto status = only(handed_on("", of_bob()));
  EXPECT_EQ(status.recipient, "bob@there.example");
  EXPECT_EQ(status.code, 550);
}

struct FreeForm {
  const char* name;
  const char* text;
  int code;
  const char* enhanced;
  const char* recipient;
};

class FreeForms : public testing::TestWithParam<FreeForm> {};

TEST_P(FreeForms, AreRead) {
  const auto status = only(bounce(GetParam().text));
  EXPECT_EQ(status.code.value_or(0), GetParam().code);
  EXPECT_EQ(status.enhanced ? status.enhanced->text() : "", GetParam().enhanced);
  EXPECT_EQ(status.recipient, GetParam().recipient);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, FreeForms,
    testing::Values(
        FreeForm{
            "qmail",
            "Hi. This is the qmail-send program at here.example.\nI'm afraid I wasn't able to deliver your message.\n\n"
            "<bob@there.example>:\n192.0.2.4 does not like recipient.\nRemote host said: 550 nobody of that name "
            "(#5.1.1)\n"
            "Giving up on 192.0.2.4.\n\n--- Below this line is a copy of the message.\n\n550 5.7.1 not this\n",
            550, "5.1.1", "bob@there.example"},
        FreeForm{"qmail without a reply",
                 "Hi. This is the qmail-send program at here.example.\n\n<bob@there.example>:\n"
                 "Sorry, I couldn't find any host named there.example. (#5.1.2)\n\n--- Below this line is a copy of "
                 "the message.\n",
                 0, "5.1.2", "bob@there.example"},
        FreeForm{"Exim",
                 "This message was created automatically by mail delivery software.\n\nA message that you sent could "
                 "not be delivered to one or "
                 "more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  "
                 "bob@there.example\n"
                 "    host mx.there.example [192.0.2.4]\n    SMTP error from remote mail server after RCPT "
                 "TO:<bob@there.example>:\n"
                 "    550 5.1.1 nobody\n\n------ This is a copy of the message, including all the headers. "
                 "------\n\nTo: 554 x\n",
                 550, "5.1.1", "bob@there.example"},
        FreeForm{"Sendmail",
                 "The original message was received at Sun\n\n   ----- The following addresses had permanent fatal "
                 "errors -----\n"
                 "<bob@there.example>\n    (reason: 553 5.3.0 nobody)\n\n   ----- Transcript of session follows -----\n"
                 "... while talking to mx.there.example.:\n>>> DATA\n<<< 553 5.3.0 nobody\n",
                 553, "5.3.0", "bob@there.example"},
        FreeForm{"Exchange",
                 "Delivery has failed to these recipients or groups:\n\nbob@there.example\nThe address you entered "
                 "couldn't be found.\n\n"
                 "Diagnostic information for administrators:\nGenerating server: x.example\n\nbob@there.example\n"
                 "Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; nobody'\n\nOriginal message "
                 "headers:\nReceived: x\n",
                 550, "5.1.10", "bob@there.example"},
        FreeForm{"Gmail",
                 "Delivery to the following recipient failed permanently:\n\n     bob@there.example\n\nTechnical "
                 "details of permanent failure: \n"
                 "Google tried to deliver your message, but it was rejected by the server for the recipient domain "
                 "there.example by mx.there.example. "
                 "[192.0.2.4].\n\nThe error that the other server returned was:\n552 5.2.2 full\n\n----- Original "
                 "message -----\n\n550 no\n",
                 552, "5.2.2", "bob@there.example"},
        FreeForm{"Yahoo",
                 "Sorry, we were unable to deliver your message to the following "
                 "address.\n\n<bob@there.example>:\nRemote host said:\n"
                 "550 5.7.1 we do not like it\n [RCPT_TO]\n\n--- Below this line is a copy of the message.\n",
                 550, "5.7.1", "bob@there.example"},
        FreeForm{"Zoho",
                 "This message was created automatically by mail delivery software.\nA message that you sent could not "
                 "be delivered to one or more "
                 "of its recipients.\n\nbob@there.example, ERROR CODE :550 - 5.1.1 nobody\n",
                 550, "5.1.1", "bob@there.example"},
        FreeForm{"Postfix, wrapped",
                 "This is the mail system at host here.example.\n\n<bob@there.example>: host "
                 "mx.there.example[192.0.2.4] said: 550\n"
                 "    5.7.1 no mail from you (in reply to MAIL FROM command)\n",
                 550, "5.7.1", "bob@there.example"},
        FreeForm{"no reply at all",
                 "This is the mail system at host here.example.\n\n<bob@there.example>: connect to "
                 "mx.there.example[192.0.2.4]:25: Connection\n"
                 "    timed out\n\nusing TLS with cipher (256/256 bits), call 555 123 4567\n",
                 0, "", "bob@there.example"}),
    [](const auto& form) { return "Format" + std::to_string(form.index); });

TEST(Bounce, SeveralRecipientsInOneText) {
  const auto statuses =
      read_attempts(bounce("<a@there.example>: host m[192.0.2.4] said: 550 5.1.1 nobody\n\n<b@there.example>: host "
                           "m[192.0.2.4] said: 552 5.2.2 full\n"));
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses[0].code, 550);
  EXPECT_EQ(statuses[1].code, 552);
  EXPECT_EQ(statuses[1].recipient, "b@there.example");
}

TEST(Bounce, OtherMailIsNone) {
  EXPECT_TRUE(
      read_attempts("From: ann@here.example\nTo: b@x.example\nSubject: party\n\n550 guests are too many\n").empty());
  EXPECT_TRUE(
      read_attempts("From: ann@here.example\nTo: b@x.example\nSubject: Out of office\nAuto-Submitted: auto-replied\n\n"
                    "I am away. Write to bob@here.example: 555 123 4567\n")
          .empty());
  EXPECT_TRUE(
      read_attempts(
          "From: news@here.example\nTo: b@x.example\nSubject: error codes\n\nHost said: 550 5.1.1 user unknown\n")
          .empty());
}

TEST(Bounce, HtmlAlone) {
  const auto status = only(
      "From: postmaster@x.example\nTo: a@here.example\nSubject: Undeliverable: hello\nMIME-Version: 1.0\nContent-Type: "
      "text/html; charset=utf-8\n\n"
      "<html><style>p { margin: 550 }</style><p>bob@there.example</p><p>Remote Server returned &#39;550 5.7.1 "
      "&lt;x&gt; no&#39;</p></html>\n");
  EXPECT_EQ(status.code, 550);
  EXPECT_EQ(status.recipient, "bob@there.example");
}

TEST(Bounce, MarkupIsLeftOut) {
  EXPECT_EQ(without_markup("a<br>b &lt;c&gt; <b>d</b> 1 < 2"), "a\nb <c> d 1 < 2");
  EXPECT_EQ(without_markup("<script>550 5.1.1"), "");
  EXPECT_EQ(without_markup("x<"), "x<");
}

TEST(Bounce, HostileMessagesAreBounded) {
  std::string deep = "From: a@x.example\nTo: b@x.example\nMIME-Version: 1.0\n";
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "b" + std::to_string(i);
    deep += "Content-Type: multipart/mixed; boundary=" + name + "\n\n--" + name + "\n";
  }
  EXPECT_TRUE(read_attempts(deep).empty());
  std::string wide = "From: mailer-daemon@x.example\nTo: b@x.example\nSubject: failure notice\nX-Long: " +
                     std::string(2'000'000, 'x') + "\n\n";
  for (int i = 0; i < 20000; ++i) wide += "<r" + std::to_string(i) + "@x.example>: 550 5.1.1 nobody\n";
  EXPECT_LE(read_attempts(wide).size(), 200U);
}

TEST(Bounce, LinesOfALog) {
  const auto statuses = read_attempts(
      "Nov 29 10:00:01 mail postfix/qmgr[71]: 4abcd1234Zz: removed\n"
      "Nov 29 10:00:01 mail postfix/smtp[71]: 4abcd1234Zz: to=<a@b.example>, relay=none, delay=1, delays=0/0/1/0, "
      "dsn=5.4.4, status=bounced (no host)\n");
  ASSERT_EQ(statuses.size(), 1U);
  EXPECT_EQ(statuses[0].recipient, "a@b.example");
}

TEST(Bounce, AMailboxHasManyMessages) {
  const std::string first = "From MAILER-DAEMON Sun Nov 29 10:00:00 2026\nFrom: a@b.example\n\nFrom here on\n\n";
  const std::string second = "From x@y.example  Mon Nov 30 10:00:00 +0100 2026\nFrom: c@d.example\n\ntext\n";
  using Messages = std::vector<std::string_view>;
  EXPECT_EQ(messages_of(first + second), (Messages{first, second}));
  EXPECT_EQ(messages_of("From: a@b.example\n\nFrom MAILER-DAEMON Sun Nov 29 10:00:00 2026\n").size(), 1U);
  EXPECT_EQ(messages_of("550 no\n"), Messages{"550 no\n"});
  EXPECT_EQ(messages_of(""), Messages{""});
}

TEST(ReportIds, AreFoundInFieldsThatGoOnInTheNextLine) {
  const ReportIds ids = ids_in_report(
      "Received: from c.example (c [192.0.2.1])\n\tby mx.example (Postfix) with ESMTPSA\n\tid 4jZK7S3Hpsz1fxXq; Mon\n"
      "Message-ID:\r\n <a-long-one@here.example>\nSubject: x\nX-Postfix-Queue-ID: AAAA11111\n");
  EXPECT_EQ(ids.message_ids, std::vector<std::string>{"a-long-one@here.example"});
  EXPECT_EQ(ids.queue_ids, (std::vector<std::string>{"4jZK7S3Hpsz1fxXq", "AAAA11111"}));
}

// Base64 of "Message-ID: <one@here.example>\n" and "Original-Envelope-Id: AAAA11111\n".
constexpr const char* kMessageId = "TWVzc2FnZS1JRDogPG9uZUBoZXJlLmV4YW1wbGU+Cg==";
constexpr const char* kEnvelopeId = "T3JpZ2luYWwtRW52ZWxvcGUtSWQ6IEFBQUExMTExMQo=";

std::string report_with(std::string_view type, std::string_view encoding, std::string_view content) {
  return fmt::format(
      "From: MAILER-DAEMON@mx.example\nTo: a@here.example\nSubject: x\nMIME-Version: 1.0\n"
      "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: "
      "text/plain\n\nNo.\n"
      "--b\nContent-Type: {}\nContent-Transfer-Encoding: {}\n\n{}\n--b--\n",
      type, encoding, content);
}

TEST(ReportIds, AreFoundInWhatIsEncoded) {
  for (const char* type : {"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"}) {
    EXPECT_EQ(ids_in_report(report_with(type, "base64", kMessageId)).message_ids,
              std::vector<std::string>{"one@here.example"})
        << type;
    EXPECT_EQ(ids_in_report(report_with(type, "quoted-printable", "Message-=\nID: <one=40here.example>\n")).message_ids,
              std::vector<std::string>{"one@here.example"})
        << type;
  }
  for (const char* type : {"message/delivery-status", "message/feedback-report"}) {
    EXPECT_EQ(ids_in_report(report_with(type, "base64", kEnvelopeId)).queue_ids, std::vector<std::string>{"AAAA11111"})
        << type;
  }
  EXPECT_TRUE(ids_in_report(report_with("text/plain", "base64", kMessageId)).message_ids.empty());
}

TEST(ReportIds, AreThoseOfTheOriginal) {
  const char* original = "X-Original-Message-ID: <one@here.example>\n";
  for (const char* encoding : {"7bit", "base64"}) {
    const std::string encoded = "WC1PcmlnaW5hbC1NZXNzYWdlLUlEOiA8b25lQGhlcmUuZXhhbXBsZT4K\n";
    const std::string content = std::string_view(encoding) == "7bit" ? original : encoded;
    EXPECT_EQ(ids_in_report(report_with("message/delivery-status", encoding, content)).message_ids,
              std::vector<std::string>{"one@here.example"})
        << encoding;
  }
  EXPECT_TRUE(ids_in_report(report_with("text/rfc822-headers", "7bit", original)).message_ids.empty());
}

// It is what came back, or a report that somebody hands on.
TEST(Bounce, AMessageMayBeEncoded) {
  std::string quoted;
  for (const char c : of_bob()) quoted += c == '=' ? "=3D" : std::string(1, c);
  const auto status = only(handed_on("Content-Transfer-Encoding: quoted-printable\n", quoted));
  EXPECT_EQ(status.recipient, "bob@there.example");
  EXPECT_EQ(status.code, 550);
}

}  // namespace
}  // namespace replygate

#include "milter/door/mta_events.h"

#include <gtest/gtest.h>

#include <map>

namespace replygate {
namespace {

class Macros final : public MacroSource {
 public:
  explicit Macros(std::map<std::string, std::string, std::less<>> values = {}) : values_(std::move(values)) {}
  std::string_view get(std::string_view name) const override {
    const auto it = values_.find(name);
    return it == values_.end() ? std::string_view() : it->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

Macros route(std::string mailer, std::string host, std::string address) {
  return Macros(
      {{"{rcpt_mailer}", std::move(mailer)}, {"{rcpt_host}", std::move(host)}, {"{rcpt_addr}", std::move(address)}});
}

TEST(MtaEvents, ReplyLinesAreDoubledAndBounded) {
  EXPECT_EQ(reply_line("100% of %s"), "100%% of %%s");
  EXPECT_EQ(reply_line(""), "");
  EXPECT_EQ(reply_line(std::string(500, '%')), std::string(980, '%'));
  EXPECT_EQ(reply_line("a" + std::string(500, '%')), "a" + std::string(978, '%'));  // no half of a pair
}

TEST(MtaEvents, BracketsMeanNoVerifiedName) {
  EXPECT_EQ(client_name("mail.example.org"), "mail.example.org");
  for (const char* host : {"[192.0.2.1]", "[IPv6:0:0:0:0:0:0:0:1]", ""}) EXPECT_EQ(client_name(host), "unknown");
}

TEST(MtaEvents, OrdinaryRecipient) {
  const RcptEvent event = rcpt_event("<User@X.test>", route("smtp", "x.test", "user@x.test"), true);
  EXPECT_EQ(event.recipient, "<User@X.test>");
  EXPECT_EQ(event.route, "smtp");
  EXPECT_EQ(event.rewritten, "user@x.test");
  EXPECT_FALSE(event.mta_refused);
}

TEST(MtaEvents, RefusedByTheMta) {
  const RcptEvent event = rcpt_event("<u@x.test>", route("error", "5.7.1", "Relay access denied"), true);
  EXPECT_TRUE(event.mta_refused);
  EXPECT_EQ(event.mta_status, "5.7.1");
  EXPECT_EQ(event.mta_text, "Relay access denied");
  EXPECT_EQ(event.rewritten, "");
}

TEST(MtaEvents, RefusedRecipientsAreNotShownUnasked) {
  const RcptEvent event = rcpt_event("<u@x.test>", route("error", "5.1.1", "u@x.test"), false);
  EXPECT_FALSE(event.mta_refused);
  EXPECT_EQ(event.rewritten, "u@x.test");
}

TEST(MtaEvents, PostfixRoutesVirtualAliasesToError) {
  const RcptEvent event = rcpt_event(
      "<team@alias.test>", route("error", "5.1.1 User unknown in virtual alias table", "team@alias.test"), true);
  EXPECT_FALSE(event.mta_refused);
  EXPECT_EQ(event.route, "local");
  EXPECT_EQ(event.rewritten, "team@alias.test");
}

TEST(MtaEvents, WithoutMacros) {
  const RcptEvent event = rcpt_event("u@x.test", Macros(), true);
  EXPECT_EQ(event.route, std::nullopt);
  EXPECT_EQ(event.recipient, "u@x.test");
}

TEST(MtaEvents, LocalSubmissionIsLoopbackWithoutPort) {
  const Macros none;
  EXPECT_TRUE(connect_event("localhost", IpAddress::parse("127.0.0.1"), 0, none).local_submission);
  EXPECT_FALSE(connect_event("localhost", IpAddress::parse("127.0.0.1"), 25, none).local_submission);
  EXPECT_FALSE(connect_event("x", IpAddress::parse("192.0.2.1"), 0, none).local_submission);
  EXPECT_FALSE(connect_event("localhost", std::nullopt, 0, none).local_submission);
}

// What stands for every address is none.
TEST(MtaEvents, WhereAClientCameTo) {
  const auto server = [](std::string address) {
    const Macros macros({{"{daemon_addr}", std::move(address)}, {"{daemon_port}", "587"}});
    const ConnectEvent event = connect_event("x", IpAddress::parse("192.0.2.1"), 40000, macros);
    EXPECT_EQ(event.server_port, 587);
    return event.server;
  };
  EXPECT_EQ(server("192.0.2.9"), IpAddress::parse("192.0.2.9"));
  EXPECT_EQ(server("IPv6:2001:db8::9"), IpAddress::parse("2001:db8::9"));
  for (const char* any : {"0.0.0.0", "::", "IPv6:::", "", "smtp"}) EXPECT_EQ(server(any), std::nullopt) << any;
  EXPECT_EQ(connect_event("x", IpAddress::parse("192.0.2.1"), 40000, Macros()).server_port, 0);
}

TEST(MtaEvents, MailTakesItsMacros) {
  const std::vector<std::string_view> arguments = {"<a@b>", "SIZE=5"};
  const MailEvent event = mail_event(arguments, Macros({{"{auth_authen}", "carol"},
                                                        {"{auth_type}", "PLAIN"},
                                                        {"{mail_addr}", "a@b"},
                                                        {"i", "Q1"},
                                                        {"{tls_version}", "TLSv1.3"},
                                                        {"{cipher}", "X"},
                                                        {"{cipher_bits}", "256"}}));
  EXPECT_EQ(event.sender, "<a@b>");
  EXPECT_EQ(event.parameters, std::vector<std::string>{"SIZE=5"});
  EXPECT_EQ(event.rewritten, "a@b");
  EXPECT_EQ(event.user, "carol");
  EXPECT_EQ(event.mechanism, "PLAIN");
  EXPECT_EQ(event.queue_id, "Q1");
  EXPECT_EQ(event.tls, (Tls{"TLSv1.3", "X", 256, "", ""}));
  EXPECT_EQ(mail_event({}, Macros()).sender, "");
}

TEST(MtaEvents, HeadersTakeTheirOctets) {
  EXPECT_EQ(header_octets("Subject", " x", true), 12);  // "Subject: x" CRLF
  EXPECT_EQ(header_octets("Subject", "x", false), 12);
  EXPECT_EQ(header_octets("To", " a,\n\tb", true), 12);  // the fold is CRLF
}

TEST(MtaEvents, NothingIsAskedForThatNoRuleNeeds) {
  const std::uint32_t least = wanted_steps({});
  for (const std::uint32_t flag :
       {wire::kNoBody, wire::kNoHeaders, wire::kNoEndOfHeaders, wire::kNoData, wire::kNoUnknown, wire::kNoReplyConnect,
        wire::kNoReplyHelo, wire::kNoReplyMail, wire::kShowRefused}) {
    EXPECT_NE(least & flag, 0U) << flag;
  }
  EXPECT_EQ(wanted_steps({.size = true}) & (wire::kNoBody | wire::kNoHeaders | wire::kNoEndOfHeaders), 0U);
  EXPECT_NE(wanted_steps({.size = true}) & wire::kNoReplyBody, 0U);
  EXPECT_EQ(wanted_steps({.header_count = true}) & (wire::kNoBody | wire::kNoHeaders), wire::kNoBody);
  const Needs header{.headers = {"subject"}, .reply_at_headers = true};
  EXPECT_EQ(wanted_steps(header) & (wire::kNoHeaders | wire::kNoEndOfHeaders | wire::kNoReplyEndOfHeaders), 0U);
  EXPECT_EQ(wanted_actions({}), 0U);
  EXPECT_EQ(wanted_actions({.add_headers = true, .hold = true}), wire::kAddHeaders | wire::kQuarantine);
  EXPECT_EQ(wanted_steps({.reply_at_connect = true}) & wire::kNoReplyConnect, 0U);
  EXPECT_EQ(wanted_steps({.reply_at_helo = true}) & wire::kNoReplyHelo, 0U);
  EXPECT_EQ(wanted_steps({.reply_at_mail = true}) & wire::kNoReplyMail, 0U);
  EXPECT_EQ(wanted_steps({.data = true}) & wire::kNoData, 0U);
}

}  // namespace
}  // namespace replygate

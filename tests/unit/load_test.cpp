#include "policy/load/load.h"

#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate::test {
namespace {

Stage stage_of(std::string_view rule) {
  const auto policy = policy_from("[[rule]]\nname = \"r\"\n" + std::string(rule));
  return policy == nullptr ? Stage::connect : policy->rules().at(0).stage;
}

TEST(Load, ARuleIsJudgedAsSoonAsItsFactsAreKnown) {
  EXPECT_EQ(stage_of("when = { client_ip = \"192.0.2.1\" }\nreply = 521"), Stage::connect);
  EXPECT_EQ(stage_of("when = { client_ip = \"192.0.2.1\", helo = \"x\" }\nreply = 550"), Stage::helo);
  EXPECT_EQ(stage_of("when = { tls = false }\nreply = \"starttls-required\""), Stage::mail);
  EXPECT_EQ(stage_of("when = { tls = false }\nreply = \"starttls-required\"\nat = \"rcpt\""), Stage::rcpt);
  EXPECT_EQ(stage_of("unless = { recipient_domain = \"x.example\" }\nreply = \"relay-denied\""), Stage::rcpt);
  EXPECT_EQ(stage_of("when = { tls = false }\nreply = { code = 550, text = \"not to {recipient}\" }"), Stage::rcpt);
  EXPECT_EQ(stage_of("per = \"sender\"\nlimit = \"1 messages / 1h\"\nreply = 452"), Stage::mail);
  EXPECT_EQ(stage_of("per = \"sender\"\nlimit = \"1 recipients / 1h\"\nreply = 452"), Stage::rcpt);
  EXPECT_EQ(stage_of("per = \"sender\"\nlimit = \"1 MB / 1h\"\nreply = 452"), Stage::message);
  EXPECT_EQ(stage_of("per = \"client_ip\"\nlimit = \"1 connections / 1h\"\nreply = 421"), Stage::connect);
}

const ReplySpec& reply_of(const Policy& policy) { return std::get<ReplySpec>(policy.rules().at(0).outcome); }

TEST(Load, RepliesHaveThreeFormsAndNames) {
  const auto number = policy_from("[[rule]]\nname = \"r\"\nwhen = { recipients = \"> 5\" }\nreply = 453");
  EXPECT_EQ(reply_of(*number).classification->slug, "too-many-recipients");
  const auto slug = policy_from("[[rule]]\nname = \"r\"\nwhen = { recipients = \"> 5\" }\nreply = \"mailbox-full\"");
  EXPECT_EQ(reply_of(*slug).code, 452);
  // A hard bounce of a class that is soft by default: the enhanced code follows.
  const auto table = policy_from(
      "[[rule]]\nname = \"r\"\nwhen = { recipients = \"> 5\" }\nreply = { class = \"mailbox-full\", code = 552 }");
  EXPECT_EQ(reply_of(*table).enhanced.text(), "5.2.2");
  EXPECT_EQ(reply_of(*table).text.source(), "Mailbox full");
  const auto named = policy_from(
      "[replies.closed]\nclass = \"host-closed\"\ntext = [\"We are closed.\", \"See https://example.org\"]\n"
      "[[rule]]\nname = \"r\"\nwhen = { client_ip = \"192.0.2.1\" }\nreply = \"closed\"");
  EXPECT_EQ(reply_of(*named).code, 521);
  EXPECT_EQ(reply_of(*named).text.lines(), 2U);
}

TEST(Load, ListsComeFromFiles) {
  const std::string text =
      "version = 1\n[lists]\nblocked = { file = \"lists/blocked\" }\n"
      "[[rule]]\nname = \"r\"\nwhen = { sender = \"$blocked\" }\nreply = 554\n";
  std::vector<std::string> asked;
  const Loaded loaded = load_policy("/etc/replygate/p.toml", [&](const DataSource& source, std::string&) {
    if (source.kind == DataSource::Kind::glob) return std::optional<std::string>();
    asked.push_back(source.path);
    return std::optional<std::string>(asked.size() == 1 ? text : "# spammers\n\na@b.example # why\n  @c.example\r\n");
  });
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(asked, (std::vector<std::string>{"/etc/replygate/p.toml", "/etc/replygate/lists/blocked"}));
  const Condition& condition = loaded.policy->rules()[0].when[0];
  EXPECT_EQ(matches(condition.matcher, Value(std::string_view("a@b.example"))), Truth::yes);
  EXPECT_EQ(matches(condition.matcher, Value(std::string_view("x@c.example"))), Truth::yes);
  EXPECT_EQ(matches(condition.matcher, Value(std::string_view("# spammers"))), Truth::no);
}

TEST(Load, TheMtaIsAskedForWhatTheRulesNeedAlone) {
  const auto needs = [](std::string_view rule) {
    return policy_from("[[rule]]\nname = \"r\"\n" + std::string(rule))->needs();
  };
  const Needs rcpt = needs("when = { recipients = \"> 5\" }\nreply = 453");
  EXPECT_FALSE(rcpt.all_headers() || rcpt.body() || rcpt.data || rcpt.reply_at_mail);
  EXPECT_TRUE(needs("when = { client_ip = \"192.0.2.1\" }\nreply = 521").reply_at_mail);
  EXPECT_TRUE(needs("when = { tls = false }\nreply = 550\nat = \"data\"").data);
  EXPECT_TRUE(needs("when = { size = \"> 1 MB\" }\nreply = 552").body());
  EXPECT_TRUE(needs("limit = \"1 MB / 1h\"\nreply = 452").body());
  const Needs header = needs("when = { header.Subject = \"*x*\" }\nreply = 554");
  EXPECT_TRUE(header.all_headers() && header.reply_at_headers && !header.body());
  EXPECT_EQ(header.headers, std::vector<std::string>{"subject"});
  EXPECT_TRUE(needs("per = \"digest\"\nlimit = \"5 messages / 1h\"\nreply = 557").body());
  EXPECT_TRUE(needs("when = { size = \"> 1 MB\" }\nhold = \"big\"").hold);
  EXPECT_TRUE(needs("when = { tls = false }\nheader = { X-Plain = \"yes\" }").add_headers);
}

TEST(Load, TheDefaultDomainIsTheFirstLocalOne) {
  EXPECT_EQ(policy_from("")->site().default_domain, "localhost");
  EXPECT_EQ(policy_from("[site]\nlocal_domains = [\".x.example\", \"Ours.Example\"]")->site().default_domain,
            "ours.example");
  EXPECT_EQ(
      policy_from("[site]\nlocal_domains = [\"a.example\"]\ndefault_domain = \"b.example\"")->site().default_domain,
      "b.example");
}

TEST(Load, TheIdFollowsTheText) {
  EXPECT_EQ(policy_from("")->id(), policy_from("")->id());
  EXPECT_NE(policy_from("")->id(), policy_from("# x")->id());
}

TEST(Load, AMissingFileIsSaidSo) {
  const Loaded loaded = load_policy("nowhere.toml", [](const DataSource&, std::string& why) {
    why = "No such file or directory";
    return std::optional<std::string>();
  });
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(render(loaded.diagnostics.at(0), loaded.sources),
            "error[RG1000]: nowhere.toml: No such file or directory\n  --> nowhere.toml\n\n");
}

TEST(Load, ShowPrintsEveryDefault) {
  const std::string shown =
      policy_from("[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"1 messages / 1h\"\nreply = 452")->text();
  for (const char* part :
       {"1. r  (policy.toml:2, at mail)", "limit      \"1 messages / 1h\"", "count      accepted", "mode       enforce",
        "on_unknown tempfail", "reply      452 4.7.1 \"Refused by the policy of this site\"  (refused-by-policy)"}) {
    EXPECT_NE(shown.find(part), std::string::npos) << part << "\n" << shown;
  }
}

TEST(Load, EveryDiagnosticIsDocumented) {
  for (const RgInfo& row : rg_table()) {
    EXPECT_FALSE(row.title.empty());
    EXPECT_FALSE(row.explanation.empty());
    EXPECT_EQ(find_rg(static_cast<int>(row.code)), &row);
  }
}

TEST(Load, AReportNeedsNobodyWhoIsNotified) {
  const std::string notify = "version = 1\n[notify]\nsmtp = \"inet:25@192.0.2.1\"\nfrom = \"replygate@a.example\"\n";
  const Loaded reported = load_text(notify + "[report]\nto = \"postmaster@a.example\"\n");
  ASSERT_TRUE(reported.policy);
  EXPECT_EQ(reported.policy->settings().notify.smtp, "inet:25@192.0.2.1");
  EXPECT_FALSE(load_text(notify).policy);
}

}  // namespace
}  // namespace replygate::test

#include "milter/host/sendmail.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate {
namespace {

using test::policy_from;

constexpr std::string_view kRules =
    "[[rule]]\nname = \"too-many\"\nwhen = { recipients = \"> 100\" }\nreply = \"too-many-recipients\"\n";

// What is found beyond "ok", parted by lines.
std::string said(const Symptoms& symptoms) {
  std::string text;
  for (const Symptom& f : symptoms) {
    if (f.level == Symptom::Level::fine) continue;
    EXPECT_NE(f.mend, "") << f.what;
    text += fmt::format("{}: {}\n", f.level == Symptom::Level::error ? "error" : "warning", f.what);
  }
  return text;
}

constexpr std::string_view kMc =
    "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nOSTYPE(`debian')dnl\n"
    "INPUT_MAIL_FILTER(`replygate', `S=inet:8891@127.0.0.1, F=T, T=C:30s;S:10s;R:30s;E:5m')dnl\nMAILER(`local')dnl\n";

std::string sendmail_says(std::string text, std::string_view policy = kRules) {
  return said(check_sendmail({.file = "sendmail.mc", .text = std::move(text)}, *policy_from(policy)));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(Sendmail, AGoodOneIsFine) { EXPECT_EQ(sendmail_says(std::string(kMc)), ""); }

TEST(Sendmail, EachMistakeIsFound) {
  const std::string good(kMc);
  EXPECT_NE(sendmail_says(replaced(good, "INPUT", "dnl INPUT")).find("never asked"), std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "inet:8891@127.0.0.1", "inet:8891")).find("has no port"), std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "F=T, ", "")).find("let through unjudged"), std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "F=T", "F=R")).find("refused for good"), std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "R:30s", "R:1s")).find("T=R:1s is shorter"), std::string::npos);
  const std::string behind = replaced(good, "MAILER", "INPUT_MAIL_FILTER(`spam', `S=unix:/x')dnl\nMAILER");
  EXPECT_EQ(sendmail_says(behind), "");
  EXPECT_NE(sendmail_says(behind, "[[rule]]\nname = \"q\"\nlimit = \"5 messages / 1h\"\nreply = 452\n")
                .find("the filter spam is asked behind replygate"),
            std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "MAILER", "define(`confMAX_RCPTS_PER_MESSAGE', `50')dnl\nMAILER"))
                .find("confMAX_RCPTS_PER_MESSAGE = 50"),
            std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "MAILER", "FEATURE(`promiscuous_relay')dnl\nMAILER")).find("strangers relay"),
            std::string::npos);
}

TEST(Sendmail, APortWithFiltersOfItsOwnIsFound) {
  const auto with = [](std::string_view lines) {
    return sendmail_says(replaced(std::string(kMc), "MAILER", std::string(lines) + "\nMAILER"));
  };
  EXPECT_EQ(with("DAEMON_OPTIONS(`Name=MTA, Port=smtp')dnl"), "");
  EXPECT_EQ(with("DAEMON_OPTIONS(`Name=MTA, InputMailFilters=spam;replygate')dnl"), "");
  EXPECT_EQ(with("dnl DAEMON_OPTIONS(`Name=MTA, InputMailFilters=spam')dnl"), "");
  const std::string found = with("DAEMON_OPTIONS(`Port=587, M=Ea, InputMailFilters=spam;virus')dnl");
  EXPECT_NE(found.find("error: the port 587 has InputMailFilters of its own without replygate"), std::string::npos)
      << found;
  EXPECT_NE(with("DAEMON_OPTIONS(``Name=MSA, I='')").find("the port MSA has"), std::string::npos);
  EXPECT_NE(
      with("DAEMON_OPTIONS(`Name=back, Addr=127.0.0.1, Port=10026, InputMailFilters=')").find("warning: the port back"),
      std::string::npos);
  EXPECT_NE(
      with("define(`confINPUT_MAIL_FILTERS', `spam, virus')dnl").find("without replygate; replygate is never asked"),
      std::string::npos);
  EXPECT_EQ(with("define(`confINPUT_MAIL_FILTERS', `spam, replygate')dnl"), "");
}

TEST(Sendmail, WhatOpensRelayingIsFound) {
  const auto with = [](std::string_view lines) {
    return sendmail_says(replaced(std::string(kMc), "MAILER", std::string(lines) + "\nMAILER"));
  };
  for (const std::string feature : {"promiscuous_relay", "relay_based_on_MX", "relay_local_from", "relay_mail_from"}) {
    EXPECT_NE(
        with(fmt::format("FEATURE(`{}')dnl", feature)).find("error: FEATURE(`" + feature + "') lets strangers relay"),
        std::string::npos);
  }
  EXPECT_NE(with("FEATURE( relay_mail_from, `domain')dnl").find("claim a sender"), std::string::npos);
  EXPECT_NE(with("FEATURE(`loose_relay_check')dnl").find("warning: FEATURE"), std::string::npos);
  EXPECT_EQ(with("FEATURE(`access_db')dnl FEATURE(`promiscuous_relay')"), "");
  EXPECT_NE(with("LOCAL_RULESETS\nSLocal_check_rcpt\nR$*\t$#OK").find("Local_check_rcpt"), std::string::npos);
}

// What runs is sendmail.cf.
TEST(Sendmail, WhatStandsInTheBuiltFileCounts) {
  const std::string fine =
      "#####  $Id: access_db.m4,v 8.28 #####\nO DaemonPortOptions=Name=MTA, Port=25\nO InputMailFilters=replygate\n"
      "SLocal_check_rcpt\nScheck_rcpt\nR$*\t$: $1\nXreplygate, S=inet:8891@127.0.0.1, F=T\n";
  const auto says = [](std::string cf) {
    return said(check_sendmail({.file = "", .text = std::string(kMc), .cf = std::move(cf)}, *policy_from(kRules)));
  };
  EXPECT_EQ(says(fine), "");
  for (const std::string_view gone : {"=replygate", "Xreplygate, S=inet:8891@127.0.0.1, F=T\n"}) {
    EXPECT_NE(says(replaced(fine, gone, "")).find("sendmail.cf does not ask the filter replygate"), std::string::npos);
  }
  EXPECT_NE(says(replaced(fine, "Port=25", "Port=25,InputMailFilters=spam")).find("the port MTA has"),
            std::string::npos);
  EXPECT_NE(says(replaced(fine, "access_db", "relay_mail_from")).find("claim a sender"), std::string::npos);
  EXPECT_NE(says(fine + "SLocal_check_rcpt\nR$*\t$#OK\n").find("Local_check_rcpt"), std::string::npos);
}

TEST(Sendmail, SetupAddsOneLineInItsPlace) {
  const std::string bare = "OSTYPE(`debian')dnl\ndnl INPUT_MAIL_FILTER(`x', `S=y')\nMAILER(`local')dnl\n";
  const SendmailSettings settings{.file = "sendmail.mc", .text = bare};
  const std::string after = sendmail_with_replygate(settings, *policy_from(kRules));
  EXPECT_EQ(after,
            replaced(bare, "MAILER(",
                     "INPUT_MAIL_FILTER(`replygate', `S=inet:8891@127.0.0.1, F=T, T=C:30s;S:10s;R:30s;E:5m')dnl\n"
                     "MAILER("));
  EXPECT_EQ(sendmail_with_replygate({.file = "", .text = after}, *policy_from(kRules)), after);
  EXPECT_EQ(sendmail_says(after), "");
  EXPECT_EQ(sendmail_without_replygate({.file = "", .text = after}, *policy_from(kRules)), bare);
  EXPECT_EQ(sendmail_without_replygate(settings, *policy_from(kRules)), bare);
}

}  // namespace
}  // namespace replygate

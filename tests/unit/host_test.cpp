#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>

#include "milter/host/local.h"
#include "milter/host/policy_needs.h"
#include "milter/host/postfix.h"
#include "milter/host/program.h"
#include "milter/host/sendmail.h"
#include "tests/support/folder.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using Level = Symptom::Level;
using test::policy_from;

constexpr std::string_view kRules =
    "[[rule]]\nname = \"too-many\"\nwhen = { recipients = \"> 100\" }\nreply = \"too-many-recipients\"\n";

PostfixSettings good_postfix() {
  return {.values = {{"smtpd_milters", "inet:127.0.0.1:8891"},
                     {"non_smtpd_milters", "inet:127.0.0.1:8891"},
                     {"milter_default_action", "tempfail"},
                     {"milter_command_timeout", "30s"},
                     {"milter_content_timeout", "300s"},
                     {"milter_protocol", "6"},
                     {"smtpd_recipient_limit", "1000"},
                     {"mynetworks", "127.0.0.0/8"},
                     {"queue_directory", "/var/spool/postfix"},
                     {"smtpd_relay_restrictions", "permit_mynetworks, reject_unauth_destination"}}};
}

// What is found beyond "ok", parted by lines.
std::string said(const Symptoms& symptoms) {
  std::string text;
  for (const Symptom& f : symptoms) {
    if (f.level == Level::fine) continue;
    EXPECT_NE(f.mend, "") << f.what;
    text += f.what + '\n';
  }
  return text;
}

std::string postfix_says(const PostfixSettings& settings, std::string_view policy = kRules) {
  return said(check_postfix(settings, *policy_from(policy)));
}

std::string with(const std::string& name, const std::string& value, std::string_view policy = kRules) {
  PostfixSettings settings = good_postfix();
  settings.values[name] = value;
  return postfix_says(settings, policy);
}

TEST(Postfix, AGoodOneIsFine) { EXPECT_EQ(postfix_says(good_postfix()), ""); }

TEST(Postfix, EachMistakeIsFound) {
  EXPECT_NE(with("smtpd_milters", "").find("replygate is never asked"), std::string::npos);
  EXPECT_NE(with("smtpd_milters", "inet:127.0.0.1").find("has no port"), std::string::npos);
  EXPECT_NE(
      with("smtpd_milters", "inet:127.0.0.1:11332, inet:localhost:8891").find("inet:127.0.0.1:11332 is asked before"),
      std::string::npos);
  EXPECT_NE(with("milter_default_action", "accept").find("let through unjudged"), std::string::npos);
  EXPECT_NE(with("milter_default_action", "reject").find("refused for good"), std::string::npos);
  EXPECT_NE(with("milter_command_timeout", "1s").find("milter_command_timeout = 1s is shorter"), std::string::npos);
  EXPECT_NE(with("milter_protocol", "2").find("does not send the macros"), std::string::npos);
  EXPECT_NE(with("smtpd_recipient_limit", "50").find("smtpd_recipient_limit = 50 refuses"), std::string::npos);
  EXPECT_NE(with("mynetworks", "127.0.0.0/8 0.0.0.0/0").find("this host is open"), std::string::npos);
  EXPECT_NE(with("smtpd_relay_restrictions", "permit_mynetworks").find("relays for everybody"), std::string::npos);
  PostfixSettings settings = good_postfix();
  settings.overriding = {"submission/inet"};
  EXPECT_NE(postfix_says(settings).find("the service submission/inet has a smtpd_milters of its own"),
            std::string::npos);
}

TEST(Postfix, OwnOptionsOfAMilterGoBefore) {
  EXPECT_EQ(with("smtpd_milters", "{ inet:127.0.0.1:8891, default_action=tempfail, command_timeout=20s }"), "");
  EXPECT_NE(with("smtpd_milters", "{ inet:127.0.0.1:8891, default_action=accept }").find("let through unjudged"),
            std::string::npos);
  EXPECT_EQ(with("smtpd_milters", "{ inet:127.0.0.1:8891, default_action=accept }",
                 "[milter]\non_error = \"accept\"\n" + std::string(kRules)),
            "");
}

TEST(Postfix, ASlowSourceNeedsItsTime) {
  const std::string policy =
      "[mailbox]\nquota_status = \"inet:12340@127.0.0.1\"\ntimeout = \"20s\"\n" + std::string(kRules);
  EXPECT_NE(with("milter_command_timeout", "15s", policy).find("21 s"), std::string::npos);
}

TEST(Postfix, AChrootSeesOnlyWhatIsInIt) {
  PostfixSettings settings = good_postfix();
  settings.chrooted = true;
  settings.values["smtpd_milters"] = "unix:/run/replygate/milter.sock";
  EXPECT_NE(
      postfix_says(settings, "[milter]\nlisten = \"unix:/run/replygate/milter.sock\"\n").find("cannot see the socket"),
      std::string::npos);
  settings.values["smtpd_milters"] = "unix:replygate/milter.sock";
  EXPECT_EQ(postfix_says(settings, "[milter]\nlisten = \"unix:/var/spool/postfix/replygate/milter.sock\"\n"), "");
  settings.chrooted = false;
  settings.values["smtpd_milters"] = "unix:/run/replygate/milter.sock";
  EXPECT_EQ(postfix_says(settings, "[milter]\nlisten = \"unix:/run/replygate/milter.sock\"\n"), "");
}

TEST(Postfix, ARelayRuleNeedsTheSecondDoor) {
  const std::string relay =
      "[site]\nlocal_domains = [\"example.org\"]\n[[rule]]\nname = \"relay\"\nunless = { recipient_domain = "
      "\"$local_domains\" }\nreply = \"relay-denied\"\n";
  EXPECT_NE(postfix_says(good_postfix(), relay).find("the policy's relay rule is moot"), std::string::npos);
  EXPECT_EQ(
      with("smtpd_relay_restrictions",
           "permit_mynetworks, check_policy_service { inet:127.0.0.1:8892, timeout=2s }, reject_unauth_destination",
           relay),
      "");
}

TEST(Postfix, SetupChangesWhatIsMissingAndNothingElse) {
  EXPECT_TRUE(postfix_changes(good_postfix(), *policy_from(kRules)).empty());
  PostfixSettings settings = good_postfix();
  settings.values["smtpd_milters"] = "inet:127.0.0.1:11332";
  settings.values["non_smtpd_milters"] = "";
  settings.values["milter_default_action"] = "accept";
  settings.values["smtpd_recipient_limit"] = "100";
  const auto changes = postfix_changes(
      settings, *policy_from("[policy_service]\nlisten = \"inet:8892@127.0.0.1\"\n" + std::string(kRules)));
  ASSERT_EQ(changes.size(), 5U);
  EXPECT_EQ(changes[0].after, "inet:127.0.0.1:8891, inet:127.0.0.1:11332");
  EXPECT_EQ(changes[1].after, "inet:127.0.0.1:8891");
  EXPECT_EQ(changes[2].after, "tempfail");
  EXPECT_EQ(changes[3].after, "200");
  EXPECT_EQ(changes[4].after,
            "permit_mynetworks, check_policy_service { inet:127.0.0.1:8892, timeout=2s, default_action=DUNNO }, "
            "reject_unauth_destination");
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
  EXPECT_NE(sendmail_says(replaced(good, "INPUT", "INPUT_MAIL_FILTER(`spam', `S=unix:/x')dnl\nINPUT"))
                .find("the filter spam is asked before"),
            std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "MAILER", "define(`confMAX_RCPTS_PER_MESSAGE', `50')dnl\nMAILER"))
                .find("confMAX_RCPTS_PER_MESSAGE = 50"),
            std::string::npos);
  EXPECT_NE(sendmail_says(replaced(good, "MAILER", "FEATURE(`promiscuous_relay')dnl\nMAILER")).find("strangers relay"),
            std::string::npos);
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
}

TEST(PolicyNeeds, AreReadFromTheRules) {
  EXPECT_EQ(most_recipients(*policy_from(kRules)), 100);
  EXPECT_EQ(most_recipients(*policy_from("[[rule]]\nname = \"r\"\nlimit = \"30 recipients / message\"\nreply = 452\n")),
            30);
  EXPECT_EQ(most_recipients(*policy_from("[[rule]]\nname = \"r\"\nwhen = { sender = \"a@b.example\" }\nreply = 550\n")),
            0);
}

// As the MTA's user sees it, where there is one.
TEST(Sockets, ThatTheMtaCannotReachAreFound) {
  if (::getpwnam("postfix") == nullptr || ::geteuid() != 0) GTEST_SKIP();
  const test::Folder folder;
  const auto says = [&](const std::string& path) {
    return said(check_sockets(*policy_from(fmt::format("[milter]\nlisten = \"unix:{}\"\n", path))));
  };
  EXPECT_NE(says(folder.file("no/milter.sock")).find("may not enter it"), std::string::npos);  // mode 0700
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_NE(says(folder.file("no/milter.sock")).find("there is no such folder"), std::string::npos);
  EXPECT_NE(says(folder.file("milter.sock")).find("is not there"), std::string::npos);
  const int listening = test::listen_unix(folder.file("milter.sock"));
  std::filesystem::permissions(folder.file("milter.sock"), std::filesystem::perms(0660));
  EXPECT_NE(says(folder.file("milter.sock")).find("may not open it"), std::string::npos);
  std::filesystem::permissions(folder.file("milter.sock"), std::filesystem::perms(0666));
  EXPECT_EQ(says(folder.file("milter.sock")), "");
  ::close(listening);
}

TEST(Store, ThatCannotBeReachedIsFound) {
  const auto policy = policy_from("[store]\nbackend = \"redis\"\nservers = [\"inet:1@127.0.0.1\"]\n");
  EXPECT_EQ(said(check_store(*policy)), "inet:1@127.0.0.1 cannot be reached: Connection refused\n");
  const auto folder = policy_from("[store]\npath = \"/nonexistent/state.db\"\n");
  EXPECT_EQ(said(check_store(*folder)), "/nonexistent: there is no such folder\n");
}

TEST(Daemon, ThatDoesNotRunIsFound) {
  EXPECT_NE(said(check_daemon("/nonexistent/control.sock", *policy_from(kRules))).find("is the daemon running?"),
            std::string::npos);
}

TEST(Program, GivesOutputAndStatus) {
  const auto echo = run_program({"sh", "-c", "echo hello; exit 3"});
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->output, "hello\n");
  EXPECT_EQ(echo->status, 3);
  EXPECT_FALSE(run_program({"there-is-no-such-program"}));
}

}  // namespace
}  // namespace replygate

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/json.hpp>

#include "milter/host/local.h"
#include "milter/host/milter_greeting.h"
#include "milter/host/policy_needs.h"
#include "milter/host/port_holder.h"
#include "milter/host/postfix.h"
#include "milter/host/postfix_site.h"
#include "milter/host/program.h"
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
  PostfixSettings settings;
  settings.values.all = {{"smtpd_milters", "inet:127.0.0.1:8891"},
                         {"non_smtpd_milters", "inet:127.0.0.1:8891"},
                         {"milter_default_action", "tempfail"},
                         {"milter_command_timeout", "30s"},
                         {"milter_content_timeout", "300s"},
                         {"milter_protocol", "6"},
                         {"smtpd_recipient_limit", "1000"},
                         {"mynetworks", "127.0.0.0/8"},
                         {"queue_directory", "/var/spool/postfix"},
                         {"smtpd_relay_restrictions", "permit_mynetworks, reject_unauth_destination"}};
  return settings;
}

// A service of master.cf that differs from main.cf.
PostfixService service(const PostfixSettings& settings, const std::string& name, const PostfixValues& own) {
  PostfixService service = settings.main();
  service.name = name;
  for (const auto& [key, value] : own.all) {
    service.overridden.insert(key);
    service.values.all[key] = value;
  }
  return service;
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
  settings.values.all[name] = value;
  return postfix_says(settings, policy);
}

TEST(Postfix, AGoodOneIsFine) { EXPECT_EQ(postfix_says(good_postfix()), ""); }

TEST(Postfix, EachMistakeIsFound) {
  EXPECT_NE(with("smtpd_milters", "").find("replygate is never asked"), std::string::npos);
  EXPECT_NE(with("smtpd_milters", "inet:127.0.0.1").find("has no port"), std::string::npos);
  EXPECT_NE(with("milter_default_action", "accept").find("let through unjudged"), std::string::npos);
  EXPECT_NE(with("milter_default_action", "reject").find("refused for good"), std::string::npos);
  EXPECT_NE(with("milter_command_timeout", "1s").find("milter_command_timeout = 1s is shorter"), std::string::npos);
  EXPECT_NE(with("milter_protocol", "2").find("does not send the macros"), std::string::npos);
  EXPECT_NE(with("smtpd_recipient_limit", "50").find("smtpd_recipient_limit = 50 refuses"), std::string::npos);
  EXPECT_NE(with("mynetworks", "127.0.0.0/8 0.0.0.0/0").find("this host is open"), std::string::npos);
  EXPECT_NE(with("smtpd_relay_restrictions", "permit_mynetworks").find("strangers may relay"), std::string::npos);
  EXPECT_NE(with("soft_bounce", "yes").find("becomes a 4xx"), std::string::npos);
  EXPECT_NE(with("smtpd_reject_filter_maps", "pcre:/x").find("may change the policy's replies"), std::string::npos);
  EXPECT_NE(with("smtpd_milter_maps", "static:DISABLE").find("strangers' mail pass unjudged"), std::string::npos);
  EXPECT_NE(with("receive_override_options", "no_milters").find("no filter is asked"), std::string::npos);
  EXPECT_NE(with("non_smtpd_milters", "").find("the sendmail command"), std::string::npos);
}

TEST(Postfix, AServiceThatDiffersIsNamed) {
  PostfixSettings settings = good_postfix();
  settings.services = {settings.main(), service(settings, "submission/inet", {{{"smtpd_milters", ""}}})};
  settings.services.front().name = "smtp/inet";
  EXPECT_NE(postfix_says(settings).find("master.cf, submission/inet: smtpd_milters does not name"), std::string::npos);
  settings.services = {service(settings, "smtp/inet", {{{"smtpd_milters", "inet:127.0.0.1:8891"}}})};
  settings.values.all["smtpd_milters"] = "";
  EXPECT_EQ(postfix_says(settings), "");
}

// The one that charges what is accepted must be asked last, the one that counts refusals first.
TEST(Postfix, TheOrderOfMiltersIsThatOfTheRules) {
  const std::string ours_first = "inet:127.0.0.1:8891, inet:127.0.0.1:11332";
  const std::string ours_last = "inet:127.0.0.1:11332, inet:localhost:8891";
  const std::string quota = "[[rule]]\nname = \"q\"\nper = \"sender\"\nlimit = \"5 messages / 1h\"\nreply = 452\n";
  const std::string harvest = "[[rule]]\nname = \"h\"\nper = \"client_ip\"\nlimit = \"5 refusals / 1h\"\nreply = 554\n";
  EXPECT_EQ(with("smtpd_milters", ours_first), "");
  EXPECT_EQ(with("smtpd_milters", ours_last), "");
  EXPECT_EQ(with("smtpd_milters", ours_last, quota), "");
  EXPECT_NE(with("smtpd_milters", ours_first, quota).find("what it refuses is charged all the same, by the rule q"),
            std::string::npos);
  EXPECT_EQ(with("smtpd_milters", ours_first, harvest), "");
  EXPECT_NE(with("smtpd_milters", ours_last, harvest).find("what it refuses is not counted, by the rule h"),
            std::string::npos);
  EXPECT_EQ(with("smtpd_milters", ours_last, quota + harvest), "");
}

TEST(Postfix, ANewerOneKnowsShutdown) {
  PostfixSettings settings = good_postfix();
  settings.values.all["milter_default_action"] = "shutdown";
  settings.values.all["mail_version"] = "3.7.11";
  EXPECT_NE(postfix_says(settings).find("does not know that word"), std::string::npos);
  settings.values.all["mail_version"] = "3.11.0";
  EXPECT_EQ(postfix_says(settings), "");
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
  settings.services = {settings.main()};
  settings.services.front().chrooted = true;
  const auto says = [&](const std::string& address, const std::string& listen) {
    settings.values.all["smtpd_milters"] = settings.values.all["non_smtpd_milters"] = address;
    return postfix_says(settings, fmt::format("[milter]\nlisten = \"unix:{}\"\n", listen));
  };
  EXPECT_NE(says("unix:/run/replygate/milter.sock", "/run/replygate/milter.sock").find("cannot see the socket"),
            std::string::npos);
  EXPECT_EQ(says("unix:replygate/milter.sock", "/var/spool/postfix/replygate/milter.sock"), "");
  EXPECT_EQ(says("unix:/replygate/milter.sock", "/var/spool/postfix/replygate/milter.sock"), "");
  settings.services.front().chrooted = false;
  EXPECT_EQ(says("unix:/run/replygate/milter.sock", "/run/replygate/milter.sock"), "");
  EXPECT_EQ(says("unix:replygate/milter.sock", "/var/spool/postfix/replygate/milter.sock"), "");
}

TEST(Postfix, ARelayRuleNeedsTheSecondDoor) {
  const std::string relay =
      "[site]\nlocal_domains = [\"example.org\"]\n[[rule]]\nname = \"relay\"\nunless = { recipient_domain = "
      "\"$local_domains\" }\nreply = \"relay-denied\"\n";
  EXPECT_NE(postfix_says(good_postfix(), relay).find("the policy's relay rule never applies"), std::string::npos);
  EXPECT_EQ(
      with("smtpd_relay_restrictions",
           "permit_mynetworks, check_policy_service { inet:127.0.0.1:8892, timeout=2s }, reject_unauth_destination",
           relay),
      "");
}

std::string after(const std::vector<PostfixChange>& changes, std::string_view name) {
  const auto it = std::ranges::find(changes, name, &PostfixChange::name);
  return it == changes.end() ? "unchanged" : it->after;
}

TEST(Postfix, SetupPutsANewAddressInThePlaceOfTheOldOne) {
  PostfixSettings settings = good_postfix();
  settings.values.all["smtpd_milters"] = "inet:127.0.0.1:11332, { inet:127.0.0.1:8891, default_action=accept }";
  settings.values.all["non_smtpd_milters"] = "inet:127.0.0.1:7777, inet:127.0.0.1:9999";
  const auto policy = policy_from("[milter]\nlisten = \"unix:/run/replygate/m.sock\"\n");
  settings.written = {"inet:127.0.0.1:7777"};
  const auto changes = postfix_changes(settings, *policy);
  EXPECT_EQ(after(changes, "smtpd_milters"),
            "inet:127.0.0.1:11332, { unix:/run/replygate/m.sock, default_action=tempfail }");
  EXPECT_EQ(after(changes, "non_smtpd_milters"), "unix:/run/replygate/m.sock, inet:127.0.0.1:9999");
}

TEST(Postfix, SetupTakesBackWhatIsOursAlone) {
  PostfixSettings settings = good_postfix();
  settings.values.all["smtpd_milters"] = "inet:127.0.0.1:11332, inet:127.0.0.1:8891";
  settings.values.all["smtpd_relay_restrictions"] =
      "permit_mynetworks, check_policy_service { inet:127.0.0.1:8892, timeout=2s }, reject_unauth_destination";
  const auto changes = postfix_removal(settings, *policy_from("[policy_service]\nlisten = \"inet:8892@127.0.0.1\"\n"));
  EXPECT_EQ(after(changes, "smtpd_milters"), "inet:127.0.0.1:11332");
  EXPECT_EQ(after(changes, "non_smtpd_milters"), "");
  EXPECT_EQ(after(changes, "smtpd_relay_restrictions"), "permit_mynetworks, reject_unauth_destination");
}

TEST(Postfix, SetupMovesTheSecondDoorToItsPlace) {
  PostfixSettings settings = good_postfix();
  settings.values.all["smtpd_relay_restrictions"] =
      "permit_mynetworks, reject_unauth_destination, check_policy_service inet:127.0.0.1:8892";
  const auto changes = postfix_changes(settings, *policy_from("[policy_service]\nlisten = \"inet:8892@127.0.0.1\"\n"));
  EXPECT_EQ(after(changes, "smtpd_relay_restrictions"),
            "permit_mynetworks, check_policy_service { inet:127.0.0.1:8892, timeout=2s, default_action=DUNNO }, "
            "reject_unauth_destination");
}

constexpr const char* kAsSetUp = "check_policy_service { inet:127.0.0.1:8892, timeout=2s, default_action=DUNNO }";

// The door of before goes with the policy service, and with the port that it had.
TEST(Postfix, ASecondDoorThatNobodyAnswersIsTakenBackAndTold) {
  PostfixSettings settings = good_postfix();
  settings.values.all["smtpd_relay_restrictions"] =
      fmt::format("permit_mynetworks, {}, reject_unauth_destination", kAsSetUp);
  settings.values.all["smtpd_recipient_restrictions"] = "check_policy_service unix:private/replygate-old, permit";
  const auto without = postfix_changes(settings, *policy_from(kRules));
  EXPECT_EQ(after(without, "smtpd_relay_restrictions"), "permit_mynetworks, reject_unauth_destination");
  EXPECT_EQ(after(without, "smtpd_recipient_restrictions"), "permit");
  const std::string moved = "[policy_service]\nlisten = \"inet:8893@127.0.0.1\"\n" + std::string(kRules);
  EXPECT_EQ(after(postfix_changes(settings, *policy_from(moved)), "smtpd_relay_restrictions"),
            "permit_mynetworks, check_policy_service { inet:127.0.0.1:8893, timeout=2s, default_action=DUNNO }, "
            "reject_unauth_destination");
  const std::string both = fmt::format(
      "permit_mynetworks, {}, check_policy_service {{ inet:127.0.0.1:8893, timeout=2s, default_action=DUNNO }}, "
      "reject_unauth_destination",
      kAsSetUp);
  settings.values.all["smtpd_relay_restrictions"] = both;
  EXPECT_EQ(after(postfix_changes(settings, *policy_from(moved)), "smtpd_relay_restrictions"),
            "permit_mynetworks, check_policy_service { inet:127.0.0.1:8893, timeout=2s, default_action=DUNNO }, "
            "reject_unauth_destination");
  EXPECT_NE(postfix_says(settings, moved)
                .find("smtpd_relay_restrictions still has check_policy_service "
                      "inet:127.0.0.1:8892"),
            std::string::npos);
}

TEST(Postfix, APolicyServiceOfOthersStays) {
  PostfixSettings settings = good_postfix();
  const std::string list = "check_policy_service inet:127.0.0.1:10023, reject_unauth_destination";
  settings.values.all["smtpd_recipient_restrictions"] = list;
  EXPECT_EQ(after(postfix_changes(settings, *policy_from(kRules)), "smtpd_recipient_restrictions"), "unchanged");
  EXPECT_EQ(after(postfix_removal(settings, *policy_from(kRules)), "smtpd_recipient_restrictions"), "unchanged");
  settings.written = {"inet:127.0.0.1:10023"};  // it was ours
  EXPECT_EQ(after(postfix_changes(settings, *policy_from(kRules)), "smtpd_recipient_restrictions"),
            "reject_unauth_destination");
}

TEST(Postfix, SetupChangesWhatIsMissingAndNothingElse) {
  EXPECT_TRUE(postfix_changes(good_postfix(), *policy_from(kRules)).empty());
  PostfixSettings settings = good_postfix();
  settings.values.all["smtpd_milters"] = "inet:127.0.0.1:11332";
  settings.values.all["non_smtpd_milters"] = "";
  settings.values.all["milter_default_action"] = "accept";
  settings.values.all["smtpd_recipient_limit"] = "100";
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

TEST(PolicyNeeds, AreReadFromTheRules) {
  EXPECT_EQ(most_recipients(*policy_from(kRules)), 100);
  EXPECT_EQ(most_recipients(*policy_from("[[rule]]\nname = \"r\"\nlimit = \"30 recipients / message\"\nreply = 452\n")),
            30);
  EXPECT_EQ(most_recipients(*policy_from("[[rule]]\nname = \"r\"\nwhen = { sender = \"a@b.example\" }\nreply = 550\n")),
            0);
}

// As the MTA's user sees it, who is not the one of the test.
TEST(Sockets, ThatTheMtaCannotReachAreFound) {
  const Person mta{.name = "postfix", .uid = ::geteuid() + 1, .groups = {}};
  const test::Folder folder;
  const auto says = [&](const std::string& path) {
    return said(check_sockets(*policy_from(fmt::format("[milter]\nlisten = \"unix:{}\"\n", path)), mta));
  };
  EXPECT_NE(says(folder.file("no/milter.sock")).find("may not enter it"), std::string::npos);  // mode 0700
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_NE(says(folder.file("no/milter.sock")).find("there is no such folder"), std::string::npos);
  const std::string absent = says(folder.file("milter.sock"));
  EXPECT_NE(absent.find("is not there"), std::string::npos);
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

TEST(Log, APlaceThatNobodyTakesIsFound) {
  const test::Folder folder;
  const auto says = [&](const std::string& place) {
    return said(check_log(*policy_from(fmt::format("[log]\ndecisions = \"{}\"\n", place))));
  };
  EXPECT_EQ(says("stdout"), "");
  EXPECT_EQ(says("file:" + folder.file("log.json")), "");
  EXPECT_NE(says("file:/nonexistent/log.json").find("there is no such folder"), std::string::npos);
  const bool journal = std::filesystem::exists("/run/systemd/journal/socket");
  EXPECT_EQ(says("journal").empty(), journal);
}

TEST(Port, WhoHoldsItIsKnown) {
  namespace ip = boost::asio::ip;
  boost::asio::io_context io;
  ip::tcp::acceptor listening(io, {ip::address_v4::loopback(), 0});
  const auto address =
      SocketAddress::parse(fmt::format("inet:{}@127.0.0.1", listening.local_endpoint().port())).value();
  const auto holder = holder_of(address);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->pid, ::getpid());
  EXPECT_EQ(holder->name, "host_test");
  listening.close();
  EXPECT_FALSE(holder_of(address));
}

// A port that takes connections and says nothing.
TEST(Milter, ThatDoesNotSpeakTheProtocolIsFound) {
  const test::Folder folder;
  EXPECT_EQ(greet_milter("unix:" + folder.file("no")).why, "No such file or directory");
  EXPECT_EQ(greet_milter("inet:127.0.0.1").why, "it has no port");
  const int listening = test::listen_unix(folder.file("silent.sock"));
  EXPECT_EQ(greet_milter("unix:" + folder.file("silent.sock")).why, "it does not answer");
  ::close(listening);
}

TEST(Daemon, ThatDoesNotRunIsFound) {
  EXPECT_NE(said(check_daemon("/nonexistent/control.sock", *policy_from(kRules))).find("is the daemon running?"),
            std::string::npos);
}

TEST(Daemon, ItsTroublesComeWithWhatMendsThem) {
  const auto status = boost::json::parse(R"({"trouble": "outcomes: /var/log/mail.log: Permission denied", "troubles": [
      {"of": "lists", "what": "partners: gone"},
      {"of": "outcomes", "what": "outcomes: /var/log/mail.log: Permission denied"},
      {"of": "outcomes.db", "what": "outcomes: database or disk is full"}]})");
  const Symptoms symptoms = troubles_in(status.as_object());
  ASSERT_EQ(symptoms.size(), 3U);
  EXPECT_EQ(symptoms[0].what, "outcomes: /var/log/mail.log: Permission denied");
  EXPECT_NE(symptoms[0].mend.find("SupplementaryGroups=adm"), std::string::npos);
  EXPECT_EQ(symptoms[1].mend, "replygate status; journalctl -u replygate");
  EXPECT_TRUE(symptoms[2].mend.starts_with("make room for outcomes.db"));
  const auto grave = boost::json::parse(R"({"trouble": "store: disk full", "troubles": []})");
  EXPECT_EQ(troubles_in(grave.as_object()).at(0).what, "store: disk full");
}

TEST(Program, GivesOutputAndStatus) {
  const auto echo = run_program({"sh", "-c", "echo hello; exit 3"});
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->output, "hello\n");
  EXPECT_EQ(echo->status, 3);
  EXPECT_FALSE(run_program({"there-is-no-such-program"}));
  const auto both = run_program({"sh", "-c", "seq 50000; seq 50000 >&2"}, Messages::kept);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->output, both->messages);
}

using Texts = std::vector<std::string>;

TEST(PostfixSite, IsWhatMainCfSays) {
  const test::Folder folder;
  folder.write("domains", "# ours\nshop.example, .shop.example\n");
  PostfixSettings settings;
  settings.values.all = {{"mydestination", "mail.example.org, Example.ORG localhost"},
                         {"virtual_mailbox_domains", folder.file("domains")},
                         {"virtual_alias_domains", "mysql:/etc/postfix/domains.cf"},
                         {"relay_domains", "partner.example, example.org"},
                         {"parent_domain_matches_subdomains", "debug_peer_list,relay_domains"},
                         {"mynetworks", "127.0.0.0/8 [::1]/128, 10.1.0.0/16 hash:/etc/postfix/networks"}};
  const SiteDraft site = site_of_postfix(settings, PostfixTables(""));
  EXPECT_EQ(site.local_domains,
            (Texts{"mail.example.org", "example.org", "localhost", "shop.example", ".shop.example"}));
  EXPECT_EQ(site.relay_domains, (Texts{"partner.example", ".partner.example", ".example.org"}));
  EXPECT_EQ(site.trusted_networks, (Texts{"127.0.0.0/8", "::1/128", "10.1.0.0/16"}));
  EXPECT_EQ(site.left_out, (Texts{"virtual_alias_domains has mysql:/etc/postfix/domains.cf, which cannot be listed",
                                  "mynetworks has hash:/etc/postfix/networks, which cannot be listed"}));
}

}  // namespace
}  // namespace replygate

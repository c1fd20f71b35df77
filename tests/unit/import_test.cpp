// Importers: what each construct becomes, and that a rule with conditions never loses them all.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "milter/import/importer.h"
#include "policy/load/load.h"
#include "policy/mail/unicode.h"

namespace replygate::test {
namespace {

bool has(const Imported& imported, std::string_view text) { return imported.policy.find(text) != std::string::npos; }

// It loads, by itself and by `include`.
void expect_sound(const Imported& imported) {
  const std::string main = "version = 1\ninclude = [\"i\"]\n";
  const Loaded loaded = load_policy("p", [&](const DataSource& source, std::string&) -> std::optional<std::string> {
    if (source.path == "p") return main;
    return source.path == "i" ? std::optional(imported.policy) : std::nullopt;
  });
  std::string why;
  for (const Diagnostic& d : loaded.diagnostics) {
    if (d.level == Diagnostic::Level::error) why += render(d, loaded.sources);
  }
  EXPECT_EQ(why, "") << imported.policy;
}

// Rules of the output, as texts.
std::vector<std::string> rules_in(const std::string& policy) {
  constexpr std::string_view kHead = "[[rule]]\n";
  std::vector<std::string> rules;
  for (std::size_t at = policy.find(kHead); at != std::string::npos;) {
    const std::size_t next = policy.find(kHead, at + 1);
    rules.push_back(policy.substr(at, next == std::string::npos ? next : next - at));
    at = next;
  }
  return rules;
}

// Gives how many rules it has looked at.
std::size_t expect_conditions(const Imported& imported, const std::string& source) {
  const auto rules = rules_in(imported.policy);
  for (const std::string& rule : rules) {
    const bool conditions = rule.find("\nwhen ") != std::string::npos || rule.find("\nunless ") != std::string::npos;
    EXPECT_TRUE(conditions) << source << "\nbecomes\n" << rule;
  }
  return rules.size();
}

TEST(Import, NamesHaveAPrefixSoThatOutputsGoTogether) {
  ImportSource one;
  one.prefix = "one";
  ImportSource two;
  two.prefix = "two";
  const Imported first = import_postfwd("id=R1; sender==a@b.example; action=REJECT\n", one);
  const Imported second = import_postfwd("id=R1; sender==a@b.example; action=REJECT\n", two);
  EXPECT_TRUE(has(first, "\"one-R1\"")) << first.policy;
  EXPECT_TRUE(has(second, "\"two-R1\"")) << second.policy;
  expect_sound(first);
}

TEST(Import, WhatIsLostStandsAtItsPlace) {
  const Imported imported = import_postfwd(
      "id=R1; sender==a@b.example; action=REJECT\nid=R2; rbl=x.example; action=REJECT\nid=R3; sender==c@d.example; "
      "action=REJECT\n");
  const std::size_t first = imported.policy.find("\"R1\"");
  const std::size_t lost = imported.policy.find("# not carried over: line 2");
  const std::size_t last = imported.policy.find("\"R3\"");
  EXPECT_LT(first, lost);
  EXPECT_LT(lost, last);
  EXPECT_EQ(imported.lost.size(), 1U);
}

TEST(Import, TextsAndCodesStayAsTheyAre) {
  const Imported imported =
      import_postfwd("id=R1; sender=~x; action=550 5.7.26 no {braces} for $$sender, \"quoted\"\n");
  EXPECT_TRUE(has(imported, R"({ code = 550, enhanced = "5.7.26", text = "no {{braces}} for {sender}, quoted" })"))
      << imported.policy;
  const Imported bare = import_access("a@b.example 450 later\n", {.as = "sender"});
  EXPECT_TRUE(has(bare, R"({ code = 450, enhanced = "4.7.1", text = "later" })")) << bare.policy;
}

TEST(Import, AReasonToHoldIsCutBetweenCharacters) {
  for (const std::size_t length : {198U, 199U, 200U}) {
    const Imported imported =
        import_access("a@b.example HOLD " + std::string(length, 'x') + "\u00fc\u00fc\n", {.as = "sender"});
    EXPECT_TRUE(is_utf8(imported.policy)) << imported.policy;
    const bool plain = length >= 199;  // the MTA's queue shows it: it must be ASCII
    EXPECT_EQ(imported.lost.empty(), plain) << length;
    EXPECT_EQ(has(imported, "\"" + std::string(length, 'x') + "\""), plain) << imported.policy;
  }
}

TEST(Import, WhatPostfwdWouldHaveLoggedIsSaid) {
  const Imported imported = import_postfwd("id=W; sender==a@b.example; action=WARN looks odd\n");
  EXPECT_TRUE(has(imported, "Postfix's log no longer says \"looks odd\"")) << imported.policy;
  EXPECT_TRUE(imported.lost.empty());
}

TEST(Import, TablesThatAreAskedNameTheListToWrite) {
  ImportSource source;
  const Imported imported =
      import_postfix("smtpd_sender_restrictions = check_sender_access proxy:mysql:/etc/postfix/bad.cf\n", source);
  EXPECT_TRUE(has(imported, "[lists] listed = \"mysql:/etc/postfix/bad.cf\"")) << imported.policy;
  EXPECT_TRUE(has(imported, "when = { sender = \"$listed\" }")) << imported.policy;
}

TEST(Import, CountModesOfPolicydRateLimit) {
  const auto with = [](const std::string& mode) {
    return import_policyd_rate_limit("limits: [[10, 60]]\ncount_mode: " + mode + "\n");
  };
  EXPECT_TRUE(has(with("0"), "\"10 recipients / 1m\"") && has(with("0"), "at     = \"rcpt\""));
  EXPECT_TRUE(has(with("1"), "\"10 recipients / 1m\"") && has(with("1"), "at     = \"data\""));
  EXPECT_TRUE(has(with("2"), "\"10 messages / 1m\""));
  EXPECT_EQ(with("3").lost.size(), 1U);
  for (const char* mode : {"0", "1", "2"}) expect_sound(with(mode));
}

TEST(Import, ReportsBecomeNotes) {
  const Imported imported =
      import_policyd_rate_limit("report: True\nreport_to: [a@b.example, c@d.example]\nreport_from: e@f.example\n");
  EXPECT_TRUE(has(imported, "[notify]\nto   = [\"a@b.example\", \"c@d.example\"]\nfrom = \"e@f.example\"\n"))
      << imported.policy;
  expect_sound(imported);
}

constexpr std::string_view kCbpolicyd = R"(
CREATE TABLE `policies` (`ID` int NOT NULL, `Name` varchar(255), `Priority` smallint, `Description` text, `Disabled` smallint, PRIMARY KEY (`ID`));
INSERT INTO `policies` VALUES (1,'Default',50,NULL,0),(2,'Staff',10,'it''s ours',0),(3,'Off',0,NULL,1);
CREATE TABLE `policy_groups` (`ID` int, `Name` varchar(255), `Disabled` smallint);
INSERT INTO `policy_groups` VALUES (1,'staff',0);
CREATE TABLE `policy_group_members` (`ID` int, `PolicyGroupID` int, `Member` varchar(255), `Disabled` smallint);
INSERT INTO `policy_group_members` VALUES (1,1,'@staff.example',0),(2,1,'boss@ours.example',0),(3,1,'gone@ours.example',1);
CREATE TABLE `policy_members` (`ID` int, `PolicyID` int, `Source` text, `Destination` text, `Disabled` smallint);
INSERT INTO `policy_members` VALUES (1,1,'any','any',0),(2,2,'%staff,!10.0.0.0/8',NULL,0);
CREATE TABLE `quotas` (`ID` int, `PolicyID` int, `Name` varchar(255), `Track` varchar(255), `Period` int, `Verdict` varchar(255), `Data` text, `LastQuota` smallint, `Disabled` smallint);
INSERT INTO `quotas` VALUES (1,1,'all','Sender:user@domain',3600,'DEFER','Slow down',0,0),(2,2,'staff','SASLUsername',86400,'REJECT','',0,0);
CREATE TABLE `quotas_limits` (`ID` int, `QuotasID` int, `Type` varchar(255), `CounterLimit` int, `Disabled` smallint);
INSERT INTO `quotas_limits` VALUES (1,1,'MessageCount',100,0),(2,2,'MessageCount',1000,0),(3,1,'MessageCumulativeSize',5000,0);
)";

TEST(Import, CbpolicydByPriorityWithGroups) {
  const Imported imported = import_cbpolicyd(kCbpolicyd);
  EXPECT_LT(imported.policy.find("\"staff\""), imported.policy.find("\"all\"")) << imported.policy;
  EXPECT_TRUE(has(imported, R"(when   = { sender = ["@staff.example", "boss@ours.example"] })")) << imported.policy;
  EXPECT_TRUE(has(imported, R"(unless = { client_ip = "10.0.0.0/8" })"));
  EXPECT_TRUE(has(imported, "\"1000 recipients / 1d\"") && has(imported, "burst  = 1001"));
  EXPECT_TRUE(has(imported, R"({ code = 450, enhanced = "4.7.1", text = "Slow down" })"));
  EXPECT_EQ(imported.lost.size(), 1U);  // the size
  expect_sound(imported);
}

std::string with_quota(std::string_view track, std::string_view verdict, std::string_view source,
                       std::string_view last = "0") {
  return std::string("INSERT INTO policies (ID, Name, Priority, Disabled) VALUES (1, 'p', 1, 0), (2, 'q', 2, 0);\n") +
         "INSERT INTO policy_members (ID, PolicyID, Source, Destination, Disabled) VALUES (1, 1, '" +
         std::string(source) +
         "', 'any', 0), (2, 2, NULL, NULL, 0);\nINSERT INTO quotas (ID, PolicyID, Name, Track, Period, Verdict, Data, "
         "LastQuota, Disabled) "
         "VALUES (1, 1, 'one', '" +
         std::string(track) + "', 60, '" + std::string(verdict) + "', '', " + std::string(last) +
         ", 0), (2, 2, 'two', 'Policy', 60, 'REJECT', NULL, 0, 0);\nINSERT INTO quotas_limits (ID, QuotasID, Type, "
         "CounterLimit, Disabled) "
         "VALUES (1, 1, 'MessageCount', 5, 0), (2, 2, 'MessageCount', 7, 0);\n";
}

TEST(Import, CbpolicydKeysAndVerdicts) {
  const std::array<std::pair<const char*, const char*>, 8> tracks = {{{"Sender:user@domain", "\"sender\""},
                                                                      {"Sender:@domain", "\"sender_domain\""},
                                                                      {"Sender:user@", "\"sender_local\""},
                                                                      {"Recipient:user@domain", "\"recipient\""},
                                                                      {"Recipient:@domain", "\"recipient_domain\""},
                                                                      {"Recipient:user@", "\"recipient_local\""},
                                                                      {"SenderIP:/32", "\"client_ip\""},
                                                                      {"SASLUsername", "\"user\""}}};
  for (const auto& [track, fact] : tracks) {
    const Imported imported = import_cbpolicyd(with_quota(track, "REJECT", "any"));
    EXPECT_TRUE(has(imported, std::string("per    = ") + fact)) << imported.policy;
    EXPECT_TRUE(imported.lost.empty());
    expect_sound(imported);
  }
  EXPECT_EQ(import_cbpolicyd(with_quota("SenderIP:/20", "REJECT", "any")).lost.size(), 1U);
  EXPECT_EQ(import_cbpolicyd(with_quota("Policy", "FILTER", "any")).lost.size(), 1U);
  EXPECT_TRUE(has(import_cbpolicyd(with_quota("Policy", "HOLD", "any")), "hold   = \"quota exceeded\""));
}

TEST(Import, CbpolicydSources) {
  const std::array<std::pair<const char*, const char*>, 6> sources = {
      {{"192.0.2.0/24", "client_ip = \"192.0.2.0/24\""},
       {"$*", "authenticated = true"},
       {"$-", "authenticated = false"},
       {"$alice", "user = \"alice\""},
       {"@", "null_sender = true"},
       {"@ours.example", "sender = \"@ours.example\""}}};
  for (const auto& [source, condition] : sources) {
    const Imported imported = import_cbpolicyd(with_quota("Policy", "REJECT", source));
    EXPECT_TRUE(has(imported, condition)) << imported.policy;
    expect_sound(imported);
  }
  for (const char* source : {".dsl.example", "%nobody", "[10.0.0.0/8]", "a*@b.example"}) {
    EXPECT_EQ(import_cbpolicyd(with_quota("Policy", "REJECT", source)).lost.size(), 1U) << source;
  }
}

TEST(Import, CbpolicydsLastQuotaExemptsFromLaterOnes) {
  const Imported one = import_cbpolicyd(with_quota("Policy", "REJECT", "192.0.2.0/24", "1"));
  EXPECT_TRUE(has(one, R"(unless = { client_ip = "192.0.2.0/24" })")) << one.policy;
  EXPECT_TRUE(one.lost.empty());
  const Imported all = import_cbpolicyd(with_quota("Policy", "REJECT", "any", "1"));
  EXPECT_EQ(all.lost.size(), 1U);
  const Imported unknown = import_cbpolicyd(with_quota("Policy", "REJECT", ".dsl.example", "1"));
  EXPECT_EQ(unknown.lost.size(), 2U);
}

TEST(Import, CbpolicydAsPostgresDumpsIt) {
  const Imported imported = import_cbpolicyd(
      "COPY public.policies (id, name, priority, disabled) FROM stdin;\n1\tp\t1\t0\n\\.\n"
      "COPY public.policy_members (id, policyid, source, destination, disabled) FROM "
      "stdin;\n1\t1\t@ours.example\t\\N\t0\n\\.\n"
      "COPY public.quotas (id, policyid, name, track, period, verdict, data, lastquota, disabled) FROM stdin;\n"
      "1\t1\tone\tPolicy\t60\tREJECT\t\\N\t0\t0\n\\.\n"
      "COPY public.quotas_limits (id, quotasid, type, counterlimit, disabled) FROM "
      "stdin;\n1\t1\tMessageCount\t5\t0\n\\.\n");
  EXPECT_TRUE(has(imported, "5 recipients / 1m") && has(imported, "sender = \"@ours.example\"")) << imported.policy;
  EXPECT_TRUE(import_cbpolicyd("SELECT 1;").policy.empty());
}

std::string throttle(std::string_view rows) {
  return "CREATE TABLE throttle (id integer, account text, kind text, priority integer, period integer, msg_size "
         "integer, max_msgs integer, "
         "max_quota integer);\nINSERT INTO throttle VALUES " +
         std::string(rows) + ";\n";
}

TEST(Import, Iredapd) {
  const Imported imported = import_iredapd(
      throttle("(1,'@ours.example','outbound',60,3600,-1,100,-1),(2,'boss@ours.example','outbound',100,3600,-1,0,-1),"
               "(3,'@ours.example','inbound',60,60,-1,20,-1)"));
  EXPECT_TRUE(imported.lost.empty()) << imported.policy;
  EXPECT_TRUE(has(imported, R"(when   = { authenticated = true, user = "@ours.example" })")) << imported.policy;
  EXPECT_TRUE(has(imported, R"(recipient_domain = "ours.example")") && has(imported, R"(user = "boss@ours.example")"));
  EXPECT_TRUE(has(imported, R"(when   = { authenticated = false, recipient = "@ours.example" })"));
  expect_sound(imported);
  expect_conditions(imported, "iredapd");
  EXPECT_EQ(import_iredapd(throttle("(1,'@.','outbound',0,3600,-1,100,-1)")).lost.size(), 1U);
  EXPECT_EQ(import_iredapd(throttle("(1,'a@b.example','outbound',1,3600,1000,-1,5000)")).lost.size(), 2U);
  EXPECT_TRUE(import_iredapd(throttle("(1,'a@b.example','outbound',1,0,-1,5,-1)")).lost.empty());
  EXPECT_TRUE(import_iredapd("nothing").policy.empty());
}

TEST(Import, Rspamd) {
  const Imported imported = import_rspamd(
      "rates {\n  # people\n  user = { bucket = { burst = 100; rate = \"10 / 1min\"; } }\n  ip { bucket = [ { burst = "
      "5; rate = \"1 / 1s\"; }, "
      "{ burst = 1k; rate = \"500 / 1d\"; } ] }\n  ip_from = \"30 / 2min\";\n  bounce_ip = \"5 / "
      "1h\"\n}\nwhitelisted_ip = \"127.0.0.1, 10.0.0.0/8\";\n"
      "whitelisted_user = [\"boss\"];\n");
  EXPECT_TRUE(imported.lost.empty()) << imported.policy;
  EXPECT_TRUE(has(imported, "\"10 messages / 1m\"") && has(imported, "burst  = 100\n"));
  EXPECT_TRUE(has(imported, "\"500 messages / 1d\"") && has(imported, "\"30 messages / 2m\""));
  EXPECT_TRUE(has(imported, R"(per    = ["client_ip", "sender"])")) << imported.policy;
  EXPECT_TRUE(has(imported, "when   = { null_sender = true }"));
  EXPECT_TRUE(has(imported, R"(unless = { client_ip = ["127.0.0.1", "10.0.0.0/8"], user = "boss" })"));
  expect_sound(imported);
}

TEST(Import, RspamdLosesWhatItMust) {
  EXPECT_EQ(import_rspamd("ratelimit { rates { to = \"10 / 1min\"; asn = \"1 / 1s\"; x { selector = \"ip\"; bucket = { "
                          "rate = \"1 / 1s\"; } } } }")
                .lost.size(),
            3U);
  EXPECT_EQ(import_rspamd("rates { user = \"10 / 1min\"; ip = [1, 0.5]; }").lost.size(), 1U);
  EXPECT_EQ(import_rspamd("whitelisted_ip = \"/etc/rspamd/ips.map\"; rates { ip = \"10 / 1min\"; user = \"1 / 1s\"; }")
                .lost.size(),
            3U);
  EXPECT_TRUE(import_rspamd("enabled = false; rates { ip = \"10 / 1min\"; }").lost.empty());
  EXPECT_TRUE(import_rspamd("rates { ip = \"unclosed").policy.empty());
}

TEST(Import, Exim) {
  const Imported imported = import_exim(
      "acl_check_rcpt:\n  accept hosts = 10.0.0.0/8\n  deny message = Too fast for $sender_host_address\n       "
      "ratelimit = 100 / 1h / per_rcpt / strict\n"
      "  defer authenticated = *\n        message = slow down\n        ratelimit = 20 / 5m / per_rcpt / "
      "$authenticated_id\n"
      "  deny domains = ours.example : example.org\n       !hosts = 192.0.2.0/24\n       ratelimit = 10 / 1m / "
      "leaky\n");
  EXPECT_TRUE(imported.lost.empty()) << imported.policy;
  EXPECT_TRUE(has(imported, "\"100 recipients / 1h\"") && has(imported, "burst  = 99") &&
              has(imported, "\"attempts\""));
  EXPECT_TRUE(has(imported, R"(unless = { client_ip = "10.0.0.0/8" })"));
  EXPECT_TRUE(has(imported, R"({ code = 451, enhanced = "4.7.1", text = "slow down" })"));
  EXPECT_TRUE(has(imported, R"(recipient_domain = ["ours.example", "example.org"])")) << imported.policy;
  EXPECT_TRUE(has(imported, R"(unless = { client_ip = ["192.0.2.0/24", "10.0.0.0/8"] })"));
  expect_sound(imported);
}

TEST(Import, EximLosesWhatItMust) {
  const auto lost = [](const std::string& acl) { return import_exim(acl).lost.size(); };
  EXPECT_EQ(lost("deny ratelimit = 100 / 1h / per_rcpt / $sender_address\n"), 1U);
  EXPECT_EQ(lost("deny ratelimit = 100 / 1h / per_byte\n"), 1U);
  EXPECT_EQ(lost("deny ratelimit = 100 / 1h / $authenticated_id\n"), 1U);
  EXPECT_EQ(lost("warn ratelimit = 100 / 1h\n"), 1U);
  EXPECT_EQ(lost("deny condition = ${if eq{a}{b}}\n  ratelimit = 100 / 1h\n"), 1U);
  EXPECT_EQ(lost("deny hosts = +relays\n  ratelimit = 100 / 1h\n"), 1U);
  EXPECT_EQ(lost("accept hosts = +relays\ndeny ratelimit = 100 / 1h\n"), 1U);
  EXPECT_EQ(lost("deny !ratelimit = 100 / 1h\n"), 1U);
}

// One of some texts, or of all of them.
template <typename Random, std::size_t N>
std::string_view any(Random& random, const std::array<std::string_view, N>& all) {
  return all[random() % N];
}

TEST(Import, ARuleOfPostfwdWithConditionsNeverLosesThemAll) {
  constexpr std::array<std::string_view, 24> kKeys = {"client_address",
                                                      "client_name",
                                                      "helo_name",
                                                      "sender",
                                                      "sender_domain",
                                                      "sender_localpart",
                                                      "recipient",
                                                      "recipient_domain",
                                                      "recipient_localpart",
                                                      "sasl_username",
                                                      "sasl_method",
                                                      "encryption_protocol",
                                                      "encryption_keysize",
                                                      "ccert_subject",
                                                      "recipient_count",
                                                      "size",
                                                      "protocol_state",
                                                      "time",
                                                      "days",
                                                      "rbl",
                                                      "date",
                                                      "nonsense",
                                                      "reverse_client_name",
                                                      "request_score"};
  constexpr std::array<std::string_view, 14> kSigns = {"==", "!=", "=~", "!~", "=<", "=>", "<",
                                                       ">",  "<=", ">=", "=",  "~=", "!<", "!>"};
  constexpr std::array<std::string_view, 26> kValues = {"",
                                                        ".",
                                                        "/",
                                                        "//",
                                                        "/./",
                                                        "^",
                                                        "$",
                                                        ".*",
                                                        "^$",
                                                        "<>",
                                                        "0",
                                                        "1",
                                                        "50",
                                                        "0.0.0.0/0",
                                                        "192.0.2.0/24",
                                                        "10.0.0.0/8,192.168.0.0/16",
                                                        "!!(a)",
                                                        "!!(.)",
                                                        "!!(0.0.0.0/0)",
                                                        "a@b.example",
                                                        "*",
                                                        "::/0",
                                                        "RCPT",
                                                        "Mon-Fri",
                                                        "00:00:00-23:59:59",
                                                        "$$sender"};
  constexpr std::array<std::string_view, 9> kActions = {"REJECT",
                                                        "DUNNO",
                                                        "450 later",
                                                        "HOLD",
                                                        "PREPEND X: y",
                                                        "rate(sender/5/60/450 slow)",
                                                        "rate(client_address/5/60/REJECT)",
                                                        "rcpt(sasl_username/5/60/450 slow)",
                                                        "DISCARD"};
  std::mt19937 random(16);
  std::size_t seen = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string text = "id=R";
    const auto count = 1 + random() % 3;
    for (std::size_t j = 0; j < count; ++j)
      text += fmt::format("; {}{}{}", any(random, kKeys), any(random, kSigns), any(random, kValues));
    text += fmt::format("; action={}\n", any(random, kActions));
    const Imported imported = import_postfwd(text);
    seen += expect_conditions(imported, text);
    if (i % 10 == 0) expect_sound(imported);
  }
  EXPECT_GT(seen, 100U);
}

TEST(Import, AnAccessTableNeverBecomesARuleWithoutConditions) {
  constexpr std::array<std::string_view, 23> kKeys = {
      "192.0.2.7",  "10", "10.0.0.0/8", "0.0.0.0/0",   "::/0",      "2001:db8",   "a@b.example", "a@",
      "@b.example", "<>", "example",    ".example",    "b.example", ".b.example", "/./",         "!/./",
      "/^/",        "//", "unknown",    "!10.0.0.0/8", "!",         "/",          "!/"};
  constexpr std::array<std::string_view, 9> kActions = {"REJECT",       "OK",        "DUNNO", "HOLD", "DISCARD",
                                                        "PREPEND X: y", "450 later", "550",   ""};
  constexpr std::array<std::string_view, 4> kAs = {"client", "helo", "sender", "recipient"};
  constexpr std::array<std::string_view, 4> kTypes = {"", "hash", "cidr", "pcre"};
  std::mt19937 random(17);
  std::size_t seen = 0;
  for (int i = 0; i < 800; ++i) {
    std::string text;
    const auto count = 1 + random() % 4;
    for (std::size_t j = 0; j < count; ++j) text += fmt::format("{} {}\n", any(random, kKeys), any(random, kActions));
    const AccessSettings settings{.as = std::string(any(random, kAs)),
                                  .type = std::string(any(random, kTypes)),
                                  .delimiters = random() % 2 == 0 ? "" : "+",
                                  .dotted_parents = random() % 2 == 0};
    const Imported imported = import_access(text, settings);
    seen += expect_conditions(imported, text);
    if (i % 10 == 0) expect_sound(imported);
  }
  EXPECT_GT(seen, 150U);
}

}  // namespace
}  // namespace replygate::test

// What can never hold or is never reached, and the index of rules.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "policy/decide/inquiry.h"
#include "policy/proof/solver.h"
#include "policy/proof/witness.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

TEST(Solver, FindsWhatFulfilsAllAndSaysWhereNothingDoes) {
  const auto solved = [](std::string_view when, std::string_view unless) {
    const auto policy = policy_from(
        fmt::format("[[rule]]\nname = \"r\"\nwhen = {{ {} }}\nunless = {{ {} }}\naccept = true\n", when, unless));
    const Rule& rule = policy->rules().front();
    Model model;
    const Solved result = solve(literals_of(rule), policy->site(), model);
    if (result == Solved::found) {
      EXPECT_EQ(holds_of(rule, model.facts()), Truth::yes) << when;
    }
    return result;
  };
  EXPECT_EQ(solved("sender = \"a@b.example\", sender_local = \"a\", sender_domain = \".example\"", ""), Solved::found);
  EXPECT_EQ(solved("sender = \"a@\", sender_domain = \".x.example\"", "sender_domain = \"x.example\""), Solved::found);
  EXPECT_EQ(solved("sender_domain = \"x.example\"", "sender_domain = \".x.example\""), Solved::none);
  EXPECT_EQ(solved("sender = \"@x.example\", null_sender = true", ""), Solved::none);
  EXPECT_EQ(solved("recipients = \"10..20\"", "recipients = [\"10..14\", \"16..20\"]"), Solved::found);
  EXPECT_EQ(solved("recipients = \"10..20\"", "recipients = \"5..25\""), Solved::none);
  EXPECT_EQ(solved("tls_version = \"TLSv1*\", tls_bits = \"> 200\"", "tls_cipher = \"RC4*\""), Solved::found);
  EXPECT_EQ(solved("tls_bits = \"> 200\", tls = false", ""), Solved::none);
  EXPECT_EQ(solved("tls = true", "tls_version = \"TLSv1.3\""), Solved::found);
  EXPECT_EQ(solved("tls = true", "tls_version = [\"TLSv1.2\", \"TLSv1.3\"]"), Solved::found);
  EXPECT_EQ(solved("null_sender = false", "sender = [\"someone@\", \".invalid\"]"), Solved::found);
  EXPECT_EQ(solved("null_sender = true, sender_login_mismatch = true", ""), Solved::none);
  EXPECT_EQ(solved("user = \"bob\", sender_login_mismatch = true", ""), Solved::found);
  EXPECT_EQ(solved("header.Subject = \"*win*\", header.From = \"a\"", "header.To = \"b\""), Solved::found);
  EXPECT_EQ(solved("header.Subject = \"win\"", "header.Subject = \"w*\""), Solved::none);
  EXPECT_EQ(solved("time = \"22:00-06:00\", weekday = \"mon\"", "time = \"23:00-05:00\""), Solved::found);
  EXPECT_EQ(solved("time = \"22:00-06:00\"", "time = [\"20:00-24:00\", \"00:00-08:00\"]"), Solved::none);
  EXPECT_EQ(solved("helo = \"a??\"", "helo = \"axx\""), Solved::found);
  EXPECT_EQ(solved("client_ip = \"192.0.2.0/24\", client_net = \"192.0.2.0/24\"", "client_ip = \"192.0.2.0/25\""),
            Solved::found);
}

// What the quick look finds the search finds, too; the rest is left to the search.
TEST(Witness, AgreesWithTheSolver) {
  const std::vector<std::string> kinds = {"sender = [\"a@b.example\"]",
                                          "sender = \"@b.example\"",
                                          "sender = \"\"",
                                          "sender_domain = \"b.example\"",
                                          "sender_domain = \"-\"",
                                          "sender_local = \"a\"",
                                          "null_sender = true",
                                          "recipient = \"u@here.example\"",
                                          "recipient_local = \"u\"",
                                          "recipient_domain = \".far.example\"",
                                          "external = true",
                                          "external = false",
                                          "client_ip = \"192.0.2.0/24\"",
                                          "client_net = \"192.0.2.0/24\"",
                                          "client_net = \"192.0.2.7/32\"",
                                          "helo = \"h.example\"",
                                          "helo = \"h*\"",
                                          "user = \"bob\"",
                                          "authenticated = false",
                                          "auth_mechanism = \"PLAIN\"",
                                          "tls = true",
                                          "tls_bits = 0",
                                          "recipients = \"10..20\"",
                                          "messages = 0",
                                          "client_port = \"> 70000\"",
                                          "time = \"22:00-06:00\"",
                                          "weekday = \"mon\"",
                                          "recipient_route = \"smtp\"",
                                          "recipient_dead = true",
                                          "header.Subject = \"win\""};
  std::mt19937 random(5);
  int quick = 0;
  for (int round = 0; round < 2000; ++round) {
    std::set<std::string> when;
    for (unsigned i = 0; i < 1 + static_cast<unsigned>(round % 3); ++i) when.insert(kinds[random() % kinds.size()]);
    const Loaded loaded = load_text(
        fmt::format("version = 1\n[site]\nlocal_domains = [\"here.example\"]\n[[rule]]\nname = \"r\"\nwhen = {{ {} }}\n"
                    "accept = true\n",
                    fmt::join(when, ", ")));
    if (!loaded.ok()) continue;  // two patterns for one fact
    const Rule& rule = loaded.policy->rules().front();
    if (!plainly_holds(rule, loaded.policy->site())) continue;
    ++quick;
    Model model;
    EXPECT_EQ(solve(literals_of(rule), loaded.policy->site(), model), Solved::found)
        << fmt::format("{}", fmt::join(when, ", "));
  }
  EXPECT_GT(quick, 300);
}

// How many of the rules are said never to answer.
std::size_t said_never(std::string_view rules, Rg code) {
  const Loaded loaded = load_text("version = 1\n[site]\nlocal_domains = [\"example.org\"]\n" + std::string(rules));
  EXPECT_TRUE(loaded.ok()) << rules;
  return static_cast<std::size_t>(std::ranges::count(loaded.diagnostics, code, &Diagnostic::code));
}

std::size_t never_holds(std::string_view conditions) {
  return said_never(fmt::format("[[rule]]\nname = \"r\"\n{}\nreply = 550\n", conditions), Rg::never_holds);
}

TEST(Lint, SaysOfNoRuleThatHoldsThatItNeverDoes) {
  EXPECT_EQ(never_holds("when = { tls = true }\nunless = { tls_version = \"TLSv1.3\" }"), 0U);
  EXPECT_EQ(never_holds("when = { authenticated = true }\nunless = { user = [\"somebody\", \"someone@\"] }"), 0U);
  EXPECT_EQ(never_holds("when = { client_port = 0 }\nunless = { client_ip = \"::/0\" }"), 0U);  // no address
  EXPECT_EQ(never_holds("when = { null_sender = false }\nunless = { sender_domain = \"*.*\" }"), 0U);
  EXPECT_EQ(never_holds("when = { external = true, recipient_domain = \"example.org\" }"), 1U);
  EXPECT_EQ(never_holds("when = { tls = false, tls_bits = \"> 0\" }"), 1U);
  // Unknown, it answers with 451.
  EXPECT_EQ(never_holds("when = { recipient_route = \"smtp\" }\nunless = { recipient_route = \"smtp\" }"), 0U);
  EXPECT_EQ(never_holds("when = { recipient_route = \"smtp\" }\nunless = { recipient_route = \"smtp\" }\non_unknown = "
                        "\"skip\""),
            1U);
}

std::size_t never_reached(std::string_view earlier, std::string_view later) {
  return said_never(fmt::format("[[rule]]\nname = \"a\"\n{}\n[[rule]]\nname = \"b\"\n{}\n", earlier, later),
                    Rg::unreachable);
}

TEST(Lint, SaysOfNoRuleThatAnswersThatItIsNeverReached) {
  constexpr std::string_view kTls = "when = { tls = true }\nreply = 550";
  EXPECT_EQ(never_reached(kTls, "when = { tls = true, recipient_local = \"a\" }\nreply = 550"), 1U);
  // Nothing refuses local submissions.
  EXPECT_EQ(never_reached(kTls, "when = { tls = true, recipient_local = \"a\" }\nhold = \"x\""), 0U);
  // The clock and the counts go on.
  EXPECT_EQ(never_reached("when = { time = \"22:00-06:00\" }\nreply = 550",
                          "when = { time = \"22:00-06:00\", recipient_local = \"a\" }\nreply = 550"),
            0U);
  // What the MTA has refused meets only rules that name it.
  EXPECT_EQ(never_reached("when = { recipient_local = \"a\" }\nreply = 550",
                          "when = { recipient_local = \"a\", mta_refused = true }\nreply = 550"),
            0U);
  // Who does not greet meets no rule of HELO.
  EXPECT_EQ(never_reached("at = \"helo\"\nreply = 550", "when = { recipient_local = \"a\" }\nreply = 550"), 0U);
  // An unknown route is skipped by one and not by the other.
  EXPECT_EQ(never_reached("when = { recipient_route = \"smtp\" }\non_unknown = \"skip\"\nreply = 550",
                          "when = { recipient_route = \"smtp\", tls = true }\nreply = 550"),
            0U);
}

// The index leaves no rule out that holds, and keeps the order.
TEST(RuleIndex, GivesWhatWalkingGives) {
  std::mt19937 random(5);
  std::string text;
  for (int i = 0; i < 60; ++i) {
    const int n = static_cast<int>(random() % 6);
    const std::vector<std::string> kinds = {fmt::format("sender = \"u{}@d{}.example\"", n, n),
                                            fmt::format("sender = \"@d{}.example\"", n),
                                            fmt::format("sender = \"u{}@\"", n),
                                            fmt::format("sender = \".d{}.example\"", n),
                                            fmt::format("sender_domain = \"d{}.example\"", n),
                                            fmt::format("client_ip = [\"10.{}.0.0/16\", \"10.0.0.0/{}\"]", n, 8 + n),
                                            fmt::format("helo = \"h{}\"", n),
                                            fmt::format("helo = \"h{}*\"", n),
                                            "tls = false",
                                            fmt::format("sender = \"/u{}/\"", n),
                                            "sender = \"\"",
                                            fmt::format("user = [\"u{}\", \"\"]", n)};
    text += fmt::format("[[rule]]\nname = \"r{}\"\nwhen = {{ {} }}\nheader = {{ X-R = \"{}\" }}\nat = \"mail\"\n", i,
                        kinds[random() % kinds.size()], i);
  }
  const auto policy = policy_from(text);
  for (int round = 0; round < 3000; ++round) {
    const auto n = random() % 7;
    Connection connection;
    if (n != 6) connection.ip = IpAddress::parse(fmt::format("10.{}.0.1", random() % 8));
    connection.helo = fmt::format("{}{}", random() % 2 == 0 ? "h" : "H", random() % 7);
    Transaction transaction;
    transaction.user = random() % 2 == 0 ? "" : fmt::format("u{}", n);
    const std::string address =
        random() % 5 == 0 ? "" : fmt::format("u{}@{}d{}.example", random() % 7, random() % 2 == 0 ? "" : "s.", n);
    transaction.sender = canonical_address(address, {.default_domain = "x", .is_local = [](auto) { return false; }});
    const Facts facts{.connection = connection, .transaction = &transaction};
    std::vector<std::string> walked;
    for (const Rule* rule : policy->rules_at(Stage::mail)) {
      if (holds_of(*rule, facts) == Truth::yes) walked.push_back(rule->name);
    }
    std::vector<std::string> found;
    Inquiry inquiry;
    inquire(*policy, facts, {.stage = Stage::mail}, inquiry);
    for (const Candidate& c : inquiry.candidates) found.push_back(c.rule->name);
    ASSERT_EQ(found, walked) << address;
  }
}

}  // namespace
}  // namespace replygate::test

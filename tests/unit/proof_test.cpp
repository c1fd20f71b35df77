// The solver, the relay proof, and the index of rules.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/decide/inquiry.h"
#include "policy/mail/text.h"
#include "policy/proof/relay.h"
#include "policy/proof/solver.h"
#include "policy/scenario/player.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

RelayProof::Kind proof_of(std::string_view rules) {
  return prove_relay(*policy_from(fmt::format("[site]\nlocal_domains = [\"example.org\", \".sub.example.org\"]\n"
                                              "relay_domains = [\"relay.example\"]\n"
                                              "trusted_networks = [\"127.0.0.0/8\", \"::1\", \"192.0.2.0/24\"]\n{}",
                                              rules)))
      .kind;
}

constexpr auto kClosed = RelayProof::Kind::closed;
constexpr auto kOpen = RelayProof::Kind::open;
constexpr auto kUndecided = RelayProof::Kind::undecided;

constexpr std::string_view kNoRelay =
    "[[rule]]\nname = \"relay\"\nunless = { recipient_domain = [\"$local_domains\", \"$relay_domains\"], "
    "client_ip = \"$trusted_networks\", authenticated = true }\nreply = 571\n";

TEST(RelayProof, TheUsualRuleCloses) {
  EXPECT_EQ(proof_of(kNoRelay), kClosed);
  EXPECT_EQ(proof_of("[[rule]]\nname = \"r\"\nwhen = { external = true, authenticated = false }\n"
                     "unless = { client_ip = \"$trusted_networks\" }\nreply = 550\n"),
            kClosed);
  EXPECT_EQ(proof_of("[[rule]]\nname = \"r\"\nreply = 521\n"), kClosed);
}

TEST(RelayProof, HolesAreFound) {
  EXPECT_EQ(proof_of(""), kOpen);
  for (const std::string_view hole :
       {"client_ip = \"0.0.0.0/0\"", "client_ip = \"203.0.113.0/24\"", "recipient_domain = \".example\"",
        "sender_domain = \"example.org\"", "client_name = \".partner.example\"", "helo = \"*.friend\"", "tls = true",
        "recipient = \"boss@elsewhere.example\"", "recipient_local = \"postmaster\"", "declared_size = \"< 5 MB\"",
        "time = \"03:00-04:00\"", "weekday = \"sun\"", "null_sender = true", "messages = \"> 3\"",
        "client_net = \"203.0.113.0/24\"", "listener = \"submission\"", "smtputf8 = true",
        "client_port = \"> 50000\""}) {
    const std::string rules = fmt::format(
        "[[rule]]\nname = \"relay\"\nunless = {{ recipient_domain = [\"$local_domains\", \"$relay_domains\"], "
        "client_ip = \"$trusted_networks\", authenticated = true{} }}\nreply = 571\n",
        hole.starts_with("client_ip") || hole.starts_with("recipient_domain") ? "" : fmt::format(", {}", hole));
    const std::string accepting = fmt::format("[[rule]]\nname = \"hole\"\nwhen = {{ {} }}\naccept = true\n", hole);
    EXPECT_EQ(proof_of(accepting + std::string(kNoRelay)), kOpen) << hole;
    EXPECT_EQ(proof_of(std::string(kNoRelay) + accepting), kClosed) << hole;
    if (rules.find(hole) != std::string::npos) {
      EXPECT_EQ(proof_of(rules), kOpen) << hole;
    }
  }
}

TEST(RelayProof, HolesThatStrangersCannotUse) {
  for (const std::string_view hole :
       {"client_ip = \"127.0.0.1\"", "client_ip = [\"192.0.2.128/25\", \"::1\"]", "authenticated = true",
        "user = \"bob@example.org\"", "auth_mechanism = \"PLAIN\"", "recipient_domain = \"example.org\"",
        "recipient = \"bob@relay.example\"", "recipient_domain = \".a.sub.example.org\"",
        "sender_login_mismatch = true", "user_domain = \"example.org\"", "external = false"}) {
    const std::string accepting = fmt::format("[[rule]]\nname = \"hole\"\nwhen = {{ {} }}\naccept = true\n", hole);
    EXPECT_EQ(proof_of(accepting + std::string(kNoRelay)), kClosed) << hole;
  }
}

TEST(RelayProof, RulesThatLetSomethingPassAreNoGuards) {
  const std::string rule(kNoRelay);
  EXPECT_EQ(proof_of(rule + "mode = \"observe\"\n"), kOpen);
  EXPECT_EQ(proof_of(rule + "per = \"client_ip\"\nshare = \"99%\"\n"), kOpen);
  EXPECT_EQ(proof_of(rule + "per = \"client_ip\"\nlimit = \"5 recipients / 1h\"\n"), kOpen);
  EXPECT_EQ(proof_of(rule + "per = \"client_ip\"\nescalate = [{ after = \"5 refusals / 1h\", reply = 550 }]\n"),
            kClosed);
}

TEST(RelayProof, SeveralRulesTogether) {
  // Each alone is open; together they are closed.
  const std::string tls =
      "[[rule]]\nname = \"a\"\nwhen = { tls = true, external = true, authenticated = false }\nreply = 550\n";
  const std::string plain =
      "[[rule]]\nname = \"b\"\nwhen = { tls = false, external = true, authenticated = false }\nreply = 550\n";
  EXPECT_EQ(proof_of(tls), kOpen);
  EXPECT_EQ(proof_of(plain), kOpen);
  EXPECT_EQ(proof_of(tls + plain), kClosed);
  // IPv6 in two halves, and IPv4.
  const std::string four =
      "[[rule]]\nname = \"four\"\nwhen = { client_ip = \"0.0.0.0/0\", authenticated = false }\nreply = 521\n";
  const std::string low =
      "[[rule]]\nname = \"low\"\nwhen = { client_ip = \"::/1\", authenticated = false }\nreply = 521\n";
  const std::string high =
      "[[rule]]\nname = \"high\"\nwhen = { client_ip = \"8000::/1\", authenticated = false }\nreply = 521\n";
  EXPECT_EQ(proof_of(low), kOpen);
  EXPECT_EQ(proof_of(low + high), kOpen);
  EXPECT_EQ(proof_of(low + high + four), kClosed);
  // An accepting rule at a later stage does not undo a refusal at an earlier one.
  const std::string late = "[[rule]]\nname = \"late\"\nwhen = { recipients = \"> 0\" }\naccept = true\n";
  EXPECT_EQ(proof_of(late + low + high + four), kClosed);
  EXPECT_EQ(proof_of(late + std::string(kNoRelay)), kOpen);
}

TEST(RelayProof, ExpressionsMayLeaveItUndecided) {
  const auto with = [](std::string_view helo) {
    return fmt::format("[[rule]]\nname = \"hole\"\nwhen = {{ helo = \"{}\" }}\naccept = true\n{}", helo, kNoRelay);
  };
  EXPECT_EQ(proof_of(with("/^mail/")), kOpen);
  EXPECT_EQ(proof_of(with("/z[0-9]+y/")), kUndecided);
  // An expression that a rule needs not to match is no obstacle.
  EXPECT_EQ(proof_of(std::string("[[rule]]\nname = \"bad\"\nwhen = { helo = \"/z[0-9]+y/\" }\nreply = 501\n")), kOpen);
}

TEST(RelayProof, WithoutDomainsTheRouteDecides) {
  const auto policy =
      policy_from("[[rule]]\nname = \"r\"\nwhen = { external = true, authenticated = false }\nreply = 550\n");
  EXPECT_EQ(prove_relay(*policy).kind, kClosed);
  EXPECT_EQ(prove_relay(*policy_from("")).kind, kOpen);
}

TEST(RelayProof, TheCounterexampleNamesTheRuleThatLetsItThrough) {
  const auto proof = prove_relay(
      *policy_from("[site]\nlocal_domains = [\"example.org\"]\n[[rule]]\nname = \"hole\"\nwhen = { helo = \"friend\" "
                   "}\naccept = true\n"
                   "[[rule]]\nname = \"relay\"\nunless = { recipient_domain = \"$local_domains\" }\nreply = 571\n"));
  EXPECT_EQ(proof.kind, kOpen);
  EXPECT_EQ(proof.through, "hole");
  EXPECT_NE(proof.transaction.find("EHLO friend"), std::string::npos) << proof.transaction;
  EXPECT_EQ(proof.guards, 1U);
}

// The proof of a policy without relaying rules of its own; `rules` in short: "when | unless | answer" a line, or a line
// as it is.
RelayProof short_proof(std::string_view rules, bool domains = true, std::string_view behind = "") {
  std::string text = "[site]\ntrusted_networks = [\"127.0.0.0/8\"]\n";
  if (domains) text += "local_domains = [\"example.org\"]\n";
  int number = 0;
  for (const std::string_view line : split(rules, '\n')) {
    const auto parts = split(line, '|');
    if (parts.size() != 3) {
      text += std::string(line) + '\n';
      continue;
    }
    text += fmt::format("[[rule]]\nname = \"r{}\"\nwhen = {{ {} }}\nunless = {{ {} }}\n{}\n", number++, parts[0],
                        parts[1], parts[2]);
  }
  return prove_relay(*policy_from(text + std::string(behind)));
}

constexpr std::string_view kUsual =
    "[[rule]]\nname = \"usual\"\nunless = { recipient_domain = \"$local_domains\", client_ip = "
    "\"$trusted_networks\", authenticated = true }\nreply = 571\n";

TEST(RelayProof, ValuesOfItsOwnAreInNoRule) {
  EXPECT_EQ(short_proof("recipient_domain = [\".invalid\", \".test\"] || reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("recipient_domain = [\".invalid\", \".test\", \".example\"] || reply = 550\n"
                        "sender_domain = \".com\" | recipient_domain = \"$local_domains\", client_ip = "
                        "\"$trusted_networks\", authenticated = true | reply = 571")
                .kind,
            kOpen);
  EXPECT_EQ(
      short_proof("recipient_domain = [\"/stranger/\", \".com\", \".example\", \".invalid\"] || reply = 550").kind,
      kOpen);
  EXPECT_EQ(short_proof("sender = [\"someone@\", \"\", \".invalid\", \"@stranger.example\"] || reply = 550").kind,
            kOpen);
  EXPECT_EQ(short_proof("helo = [\"client.invalid\", \".invalid\", \"stranger\", \"\"] || reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("client_name = \"unknown\" || reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("client_ip = [\"203.0.113.0/24\", \"198.51.100.0/24\", \"2001:db8::/32\"] || reply = 550").kind,
            kOpen);
}

TEST(RelayProof, TlsFactsBelongTogether) {
  EXPECT_EQ(short_proof("tls_subject = \"\" || reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("tls_subject = \"\" || reply = 550\ntls = true || reply = 550").kind, kClosed);
  EXPECT_EQ(short_proof("tls_version = \"\" || reply = 550\ntls = true | tls_version = \"\" | reply = 550").kind,
            kClosed);
  EXPECT_EQ(short_proof("tls_bits = \"0..127\" || reply = 550\ntls_bits = \">= 256\" || reply = 550").kind, kOpen);
  EXPECT_EQ(
      short_proof("tls_bits = \"> 0\" || reply = 550\ntls = false || reply = 550\ntls_cipher = \"*\" || reply=550\n"
                  "tls_cipher = \"\" || reply = 550")
          .kind,
      kClosed);
}

TEST(RelayProof, WhatASessionCarriesOnIsNotOneValue) {
  const RelayProof third = short_proof(
      "external = true, recipients = \"<= 2\" || reply = 550\nrecipients = 2 || accept = true", true, kUsual);
  EXPECT_EQ(third.kind, kOpen);
  EXPECT_NE(third.transaction.find("2 times RCPT"), std::string::npos) << third.transaction;
  EXPECT_EQ(third.through, "r1");
  EXPECT_EQ(short_proof("refusals = \"> 0\" || accept = true\nat = \"rcpt\"", true, kUsual).kind, kOpen);
  EXPECT_EQ(short_proof("external = true, refusals = \"< 3\" || reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("messages = 4 || accept = true", true, kUsual).kind, kOpen);
  EXPECT_EQ(short_proof("session_age = \"> 1h\" || accept = true\nat = \"mail\"", true, kUsual).kind, kOpen);
  // A rule of connect is asked when the session is new.
  EXPECT_EQ(
      short_proof("session_age = \"<= 1m\" | client_ip = \"$trusted_networks\" | reply = 521\nat = \"connect\"").kind,
      kClosed);
  EXPECT_EQ(short_proof("refusals = 0 | client_ip = \"$trusted_networks\" | reply = 521\nat = \"connect\"").kind,
            kClosed);
  // The clock moves between the stages.
  EXPECT_EQ(short_proof("time = \"06:00-22:00\" || reply = 521\nrecipient_domain = \"*\", time = \"22:00-06:00\" || "
                        "reply = 550")
                .kind,
            kOpen);
}

TEST(RelayProof, WhatMayLetSomethingPassProvesNothing) {
  EXPECT_EQ(short_proof("helo = \"friend\" || accept = true\nper = \"client_ip\"\nshare = \"10%\"", true, kUsual).kind,
            kOpen);
  EXPECT_EQ(short_proof("sender = \"a@b.example\" || hold = \"x\"\nper = \"sender\"\nlimit = \"5 messages / 1h\"\nat = "
                        "\"mail\"",
                        true, kUsual)
                .kind,
            kOpen);
  EXPECT_EQ(short_proof("recipient_route = \"smtp\", external = true || reply = 550\non_unknown = \"skip\"").kind,
            kOpen);
  EXPECT_EQ(short_proof("header.Subject = \"*\" || discard = true").kind, kClosed);
  EXPECT_EQ(short_proof("size = \"< 1 MB\" || reply = 550").kind, kOpen);
  const RelayProof greylisted = short_proof(
      "external = true || reply = \"greylisted\"\nper = \"sender\"\ngreylist = { delay = \"5m\", retry_within = "
      "\"1d\", "
      "remember = \"36d\" }");
  EXPECT_EQ(greylisted.kind, kOpen);
  EXPECT_NE(greylisted.transaction.find("again after 300 s"), std::string::npos) << greylisted.transaction;
  EXPECT_EQ(short_proof("recipients = \"<= 3000\", external = true || reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("size = \"> 0 B\" || reply = 550").kind, kClosed);
  // No rule of HELO is asked of who does not greet.
  EXPECT_EQ(short_proof("|| reply = 550\nat = \"helo\"").kind, kOpen);
}

// Room that others take, in messages of their own.
TEST(RelayProof, LimitsOfRulesThatHoldAreFilled) {
  for (const char* limit : {"100 recipients / 1h", "200 messages / 1d"}) {
    const RelayProof proof =
        short_proof(fmt::format("|| hold = \"x\"\nper = \"sender\"\nlimit = \"{}\"", limit), true, kUsual);
    EXPECT_EQ(proof.kind, kOpen) << limit;
    EXPECT_NE(proof.transaction.find("00 messages to <"), std::string::npos) << proof.transaction;
  }
}

TEST(RelayProof, WhoStandsBeforeMayWantAnotherSender) {
  const RelayProof proof = short_proof(
      "external = false | sender_domain = \"partner.example\" | reply = 550\n"
      "recipients = \"> 1\" || accept = true\nat = \"rcpt\"",
      true, kUsual);
  EXPECT_EQ(proof.kind, kOpen);
  EXPECT_NE(proof.transaction.find("@partner.example>, 1 times RCPT"), std::string::npos) << proof.transaction;
}

TEST(RelayProof, WithoutDomainsSomebodyOfOursStandsBefore) {
  EXPECT_EQ(short_proof("external = true, recipients = \"<= 2\" || reply = 550", false).kind, kOpen);
}

TEST(RelayProof, ItIsSaidWhereRefusalsHappen) {
  const RelayProof proof = short_proof("external = true, refusals = \"< 3\" || reply = 550");
  EXPECT_NE(proof.transaction.find(", after 3 refusals (3 of this RCPT)"), std::string::npos) << proof.transaction;
}

TEST(RelayProof, TheRouteTellsWithoutDomains) {
  EXPECT_EQ(short_proof("| recipient_route = [\"local\", \"virtual\", \"relay\"], authenticated = true, client_ip = "
                        "\"$trusted_networks\" | reply = 550",
                        false)
                .kind,
            kClosed);
  const RelayProof open = short_proof("recipient_route = \"relay\" || reply = 550", false);
  EXPECT_EQ(open.kind, kOpen);
  EXPECT_NE(open.transaction.find("route \"smtp\""), std::string::npos) << open.transaction;
  const RelayProof untold = short_proof("recipient_route = \"smtp\" || reply = 550", false);
  EXPECT_EQ(untold.kind, kUndecided);
  EXPECT_EQ(untold.cause, Cause::untold);
}

TEST(RelayProof, WhatCannotBeZeroIsNot) {
  EXPECT_EQ(short_proof("external = true, recipients = \"> 0\" || reply = 550").kind, kClosed);
  EXPECT_EQ(short_proof("messages = \"> 0\" || reply = 550").kind, kClosed);
  EXPECT_EQ(short_proof("recipients = \"> 0\" || reply = 550\nat = \"data\"").kind, kClosed);
}

// Moments shortly before and after a condition on the clock changes, with pauses between the commands.
TEST(RelayProof, TimesAndTheAgeOfASessionAreFoundTogether) {
  const auto rule = [](std::string_view text) { return fmt::format("[[rule]]\n{}\n", text); };
  const std::string aged = rule(
      "name = \"aged\"\nunless = { external = false, client_ip = \"$trusted_networks\", authenticated = true, "
      "session_age = \"1m..1h\" }\nreply = 550");
  EXPECT_EQ(proof_of(rule("name = \"b\"\nwhen = { weekday = \"sat\", user = \"b\" }\naccept = true") + aged), kOpen);
  EXPECT_EQ(proof_of(rule("name = \"b\"\nwhen = { time = \"12:00-13:00\", user = \"b\" }\naccept = true") + aged),
            kOpen);
  const std::string halves = rule("name = \"a\"\nwhen = { time = \"12:00-00:00\" }\nreply = 554") +
                             rule("name = \"b\"\nwhen = { time = \"00:00-12:00\", external = true }\nreply = 550");
  for (const char* age : {"> 5m", "> 1s"}) {
    EXPECT_EQ(proof_of(halves + rule(fmt::format("name = \"c\"\nwhen = {{ session_age = \"{}\" }}\nat = \"rcpt\"\n"
                                                 "reply = 550",
                                                 age))),
              kOpen)
        << age;
  }
}

// Postfix delivers <""@domain>, which is no address.
TEST(RelayProof, WhatIsNoAddressMayBeDelivered) {
  for (const char* granted : {"recipient = \"\"", "recipient_domain = \"\"", "recipient = \"*\""}) {
    EXPECT_EQ(proof_of(fmt::format("[[rule]]\nname = \"a\"\nwhen = {{ {} }}\naccept = true\n{}", granted, kNoRelay)),
              kOpen)
        << granted;
  }
  EXPECT_EQ(
      proof_of(
          "[[rule]]\nname = \"relay\"\nunless = { recipient_domain = [\"$local_domains\", \"$relay_domains\", \"\"], "
          "client_ip = \"$trusted_networks\", authenticated = true }\nreply = 571\n"),
      kOpen);
}

// A session that begins a second before the hour is over.
TEST(RelayProof, TheTimeThatIsPrintedIsExact) {
  const std::string rules =
      "[[rule]]\nname = \"closed\"\nunless = { time = \"06:00-22:00\" }\nreply = 421\n"
      "[[rule]]\nname = \"open\"\nwhen = { time = \"06:00-22:00\" }\nunless = { recipient_domain = \"$local_domains\", "
      "client_ip = \"$trusted_networks\", authenticated = true }\nreply = 571\n"
      "[[rule]]\nname = \"old\"\nwhen = { session_age = \"> 1h\" }\nreply = 421\n";
  const RelayProof proof = prove_relay(*policy_from("[site]\nlocal_domains = [\"example.org\"]\n" + rules));
  EXPECT_NE(proof.transaction.find(", connected on monday 21:59:59, "), std::string::npos) << proof.transaction;
  EXPECT_NE(proof.transaction.find(", 1 s before "), std::string::npos) << proof.transaction;
}

TEST(RelayProof, WhatTheSecondDoorRefusesIsRefused) {
  const std::string early =
      "[[rule]]\nname = \"early\"\nwhen = { recipients = \"<= 2\" }\naccept = true\n" + std::string(kNoRelay);
  const std::string door = "[policy_service]\nlisten = \"inet:8892@127.0.0.1\"\n";
  EXPECT_EQ(proof_of(early), kOpen);
  EXPECT_EQ(proof_of(door + early), kClosed);
  // What both doors let pass is let pass.
  EXPECT_EQ(
      proof_of(door + "[[rule]]\nname = \"early\"\nwhen = { helo = \"a\" }\naccept = true\n" + std::string(kNoRelay)),
      kOpen);
  EXPECT_EQ(proof_of(door + "[[rule]]\nname = \"late\"\nwhen = { recipients = \"> 2\" }\nreply = 550\n"), kOpen);
}

TEST(RelayProof, GlobsOfDomainsAreDecided) {
  EXPECT_EQ(short_proof("| recipient_domain = [\"*.example.org\", \"example.org\"] | reply = 550").kind, kOpen);
  EXPECT_EQ(short_proof("external = true | recipient_domain = \"*.example.net\" | reply = 550\n"
                        "recipient_domain = \".example.net\" || reply = 550")
                .kind,
            kClosed);
  EXPECT_EQ(
      short_proof(
          "external = true | sender = \"*@b.example\" | reply = 550\nsender_domain = \"b.example\" || reply = 550")
          .kind,
      kClosed);
}

// Twenty rules with six conditions each.
TEST(RelayProof, ManyConditionsAreDecided) {
  const auto guards = [](bool last) {
    std::string text;
    for (int i = 0; i < 20; ++i) {
      text += fmt::format(
          "| helo = \"h{0}\", client_name = \"n{0}\", sender_domain = \"s{0}.example\", recipient_local = "
          "\"r{0}\", tls_cipher = \"c{0}\", declared_size = \"{0} kB\" | reply = 550\n",
          i);
    }
    return text + (last ? "external = true || reply = 550" : "");
  };
  EXPECT_EQ(short_proof(guards(false)).kind, kClosed);
  EXPECT_EQ(short_proof(guards(true)).kind, kClosed);
  std::string open;
  for (int i = 0; i < 20; ++i) {
    open += fmt::format(
        "helo = \"h{0}\", client_name = \"n{0}\", sender_domain = \"s{0}.example\", recipient_local = "
        "\"r{0}\", tls = true, messages = {1} || reply = 550\n",
        i, i + 1);
  }
  EXPECT_EQ(short_proof(open).kind, kOpen);
}

}  // namespace
}  // namespace replygate::test

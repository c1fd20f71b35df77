// The proof beside random policies and strangers.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/mail/text.h"
#include "policy/proof/relay.h"
#include "policy/scenario/player.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

// Whatever random policy: a counterexample passes when it is played, and where the proof says closed no random stranger
// gets through.
TEST(RelayProof, AgreesWithRandomStrangers) {
  std::mt19937 random(11);
  const std::vector<std::string> conditions = {"client_ip = \"10.0.0.0/8\"",
                                               "client_ip = [\"192.0.2.0/24\", \"203.0.113.0/24\"]",
                                               "sender_domain = \"a.example\"",
                                               "sender = \"x@a.example\"",
                                               "null_sender = true",
                                               "recipient_domain = \".b.example\"",
                                               "recipient_domain = \"example.org\"",
                                               "recipient_local = \"info\"",
                                               "tls = true",
                                               "tls = false",
                                               "helo = \"h\"",
                                               "helo = [\"h\", \"*.i\"]",
                                               "authenticated = false",
                                               "external = true",

                                               "client_name = \"unknown\""};
  const auto some = [&] {
    std::string text;
    std::vector<std::string> used;
    for (std::size_t i = random() % 3; i > 0; --i) {
      const std::string& c = conditions[random() % conditions.size()];
      const std::string fact = c.substr(0, c.find(' '));
      if (std::ranges::find(used, fact) != used.end()) continue;
      used.push_back(fact);
      text += fmt::format("{}{}", text.empty() ? "" : ", ", c);
    }
    return text;
  };
  const std::vector<std::string> clients = {"10.1.2.3", "192.0.2.5", "203.0.113.4", "198.51.100.1"};
  const std::vector<std::string> senders = {"", "x@a.example", "y@a.example", "z@c.example"};
  const std::vector<std::string> recipients = {"info@b.example", "bob@q.b.example", "info@d.example", "bob@d.example"};
  const std::vector<std::string> helos = {"h", "x.i", "other"};
  int closed = 0;
  for (int round = 0; round < 400; ++round) {
    std::string text = "[site]\nlocal_domains = [\"example.org\"]\ntrusted_networks = [\"127.0.0.1\"]\n";
    for (int rule = 0; rule < 4; ++rule) {
      text += fmt::format("[[rule]]\nname = \"r{}\"\nwhen = {{ {} }}\nunless = {{ {} }}\n{}\n", rule, some(), some(),
                          random() % 4 == 0 ? "accept = true" : "reply = 550");
    }
    const auto policy = policy_from(text);
    ASSERT_NE(policy, nullptr) << text;
    const RelayProof proof = prove_relay(*policy);
    ASSERT_NE(proof.kind, RelayProof::Kind::undecided) << text;  // also: the counterexample was played
    if (proof.kind == RelayProof::Kind::open) continue;
    ++closed;
    for (int i = 0; i < 60; ++i) {
      Given given;
      given.client = IpAddress::parse(clients[random() % clients.size()]);
      given.from = senders[random() % senders.size()];
      given.helo = helos[random() % helos.size()];
      given.tls.version = random() % 2 == 0 ? "" : "TLSv1.3";
      const Played played =
          Player(policy).play(given, {recipients[random() % recipients.size()]}, Instant(std::chrono::hours(1)));
      EXPECT_TRUE(played.recipients[0].reply) << text;
    }
  }
  EXPECT_GT(closed, 20);
}

}  // namespace
}  // namespace replygate::test

// Random policies, and what `check` says of them, against every talk of a small universe, played through the session.
//
//   proof_oracle [policies [seed]]    10000 policies, or $REPLYGATE_ORACLE_POLICIES; a seed, or $REPLYGATE_ORACLE_SEED
//
// It fails where "proved" is said and a talk relays; where RG1701 prints what does not; and where a rule is said never
// to hold (RG1307), or never to be reached (RG1309), that answers.

#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "policy/load/load.h"
#include "policy/proof/relay.h"
#include "tests/oracle/made_policy.h"
#include "tests/support/world.h"

namespace replygate::oracle {
namespace {

constexpr std::size_t kMostTalks = 60;

struct Counts {
  std::size_t closed = 0;
  std::size_t open = 0;
  std::map<Cause, std::size_t> undecided;
  std::size_t invalid = 0;
  std::size_t never_holds = 0;
  std::size_t never_reached = 0;
  std::size_t talks = 0;
  std::size_t failures = 0;
};

class Oracle {
 public:
  explicit Oracle(std::uint64_t seed) : seed_(seed) {}

  void policy(std::uint64_t number) {
    random_.seed(seed_ + number);  // so that what is said of one changes no other
    const MadePolicy made = make_policy(random_);
    const Loaded loaded = test::load_text(made.text);
    if (!loaded.ok()) {
      ++counts_.invalid;
      return;
    }
    const std::set<std::string> never = said_of_rules(loaded);
    const RelayProof proof = prove_relay(*loaded.policy);
    count(proof);
    if (proof.kind == RelayProof::Kind::open) confirm(made, loaded.policy, proof.transaction);
    if (proof.kind == RelayProof::Kind::closed || !never.empty()) compare(made, loaded.policy, proof, never);
  }

  const Counts& counts() const { return counts_; }

 private:
  void count(const RelayProof& proof) {
    if (proof.kind == RelayProof::Kind::closed) ++counts_.closed;
    if (proof.kind == RelayProof::Kind::open) ++counts_.open;
    if (proof.kind == RelayProof::Kind::undecided) ++counts_.undecided[proof.cause];
  }

  // Rules that are said never to answer.
  std::set<std::string> said_of_rules(const Loaded& loaded) {
    std::set<std::string> names;
    for (const Diagnostic& d : loaded.diagnostics) {
      counts_.never_holds += d.code == Rg::never_holds ? 1 : 0;
      counts_.never_reached += d.code == Rg::unreachable ? 1 : 0;
      if (d.code != Rg::never_holds && d.code != Rg::unreachable) continue;
      const std::size_t first = d.message.find('"') + 1;
      names.insert(d.message.substr(first, d.message.find('"', first) - first));
    }
    return names;
  }

  void confirm(const MadePolicy& made, const std::shared_ptr<const Policy>& policy, const std::string& printed) {
    for (const auto& talks : parse(printed, *policy)) {
      if (play(policy, talks).relayed) return;
    }
    fail(made, "RG1701 prints what does not relay: " + printed);
  }

  void compare(const MadePolicy& made, const std::shared_ptr<const Policy>& policy, const RelayProof& proof,
               const std::set<std::string>& never) {
    const bool counts = made.text.find("limit = ") != std::string::npos;
    for (const Talk& talk : talks_for(made, kMostTalks, random_)) {
      ++counts_.talks;
      const Outcome outcome = play(policy, std::vector<Talk>(counts ? 3 : 1, talk));
      if (outcome.relayed && proof.kind == RelayProof::Kind::closed) {
        return fail(made, "proved, and it relays: " + text(talk));
      }
      for (const std::string& name : never) {
        if (outcome.answered.contains(name)) {
          return fail(made, fmt::format("{} is said never to answer, and does: {}", name, text(talk)));
        }
      }
    }
  }

  void fail(const MadePolicy& made, const std::string& what) {
    if (++counts_.failures <= 10) fmt::print("FAILED: {}\n{}\n", what, made.text);
  }

  std::uint64_t seed_;
  Random random_;
  Counts counts_;
};

std::uint64_t wanted(int argc, char** argv, int index, const char* variable, std::uint64_t otherwise) {
  if (argc > index) return std::strtoull(argv[index], nullptr, 10);
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

int run(int argc, char** argv) {
  const std::uint64_t policies = wanted(argc, argv, 1, "REPLYGATE_ORACLE_POLICIES", 10000);
  const std::uint64_t seed = wanted(argc, argv, 2, "REPLYGATE_ORACLE_SEED", 20261122);
  fmt::print("{} policies, seed {}\n", policies, seed);
  Oracle oracle(seed);
  for (std::uint64_t i = 0; i < policies && oracle.counts().failures < 10; ++i) oracle.policy(i);
  const Counts& c = oracle.counts();
  fmt::print("proved {}, open {}, in error {}, RG1307 {}, RG1309 {}; {} talks played, {} failures\n", c.closed, c.open,
             c.invalid, c.never_holds, c.never_reached, c.talks, c.failures);
  for (const auto& [cause, n] : c.undecided) fmt::print("undecided {} (cause {})\n", n, static_cast<int>(cause));
  const bool saw_all = policies < 1000 || (c.closed > 0 && c.open > 0 && c.never_holds > 0 && c.never_reached > 0);
  return c.failures == 0 && saw_all ? 0 : 1;
}

}  // namespace
}  // namespace replygate::oracle

int main(int argc, char** argv) { return replygate::oracle::run(argc, argv); }

#include "policy/load/relay_finding.h"

#include <fmt/format.h>

#include "policy/proof/relay.h"

namespace replygate {
namespace {

struct WhyUndecided {
  std::string_view why;
  std::string_view help;
};

WhyUndecided why_undecided(Cause cause) {
  switch (cause) {
    case Cause::live:
      return {"it hangs on what sources say that are asked while mail comes",
              "let the rule that denies relaying name lists that are read as a whole, or write [site] relay = \"mta\""};
    case Cause::combinations:
      return {"there are too many combinations of conditions",
              "let one rule without other conditions deny relaying, or write [site] relay = \"mta\""};
    case Cause::unproven:
      return {
          "a way may be left that could not be played",
          "it depends on earlier recipients, messages or refusals, on times, limits or the content; let the rule that "
          "denies relaying stand first, or write [site] relay = \"mta\""};
    case Cause::untold:
      return {"without domain lists some mailers leave open which recipients are external",
              "name local_domains and relay_domains, or write [site] relay = \"mta\""};
    default:
      return {"patterns like regular expressions stand in the way", "write them as lists, or [site] relay = \"mta\""};
  }
}

RelayFinding relay_warning(const std::string& file, Rg code, std::string message, std::string help) {
  RelayFinding finding;
  Diagnostic& d = finding.warning.emplace();
  d.level = Diagnostic::Level::warning;
  d.code = code;
  d.message = std::move(message);
  d.primary.region.file = file;
  d.help = std::move(help);
  return finding;
}

RelayFinding open_relay(const std::string& file, const RelayProof& proof) {
  if (!proof.through) {
    return relay_warning(file, Rg::open_relay, "the policy lets a stranger relay: " + proof.transaction,
                         "add a rule like no-open-relay of POLICY.md; where the MTA denies relaying write [site] relay "
                         "= \"mta\"");
  }
  return relay_warning(file, Rg::open_relay,
                       fmt::format("the policy lets a stranger relay, by {}: {}", *proof.through, proof.transaction),
                       fmt::format("move {} behind the rule that denies relaying, or give it a condition that no "
                                   "stranger fulfils; where the MTA denies relaying write [site] relay = \"mta\"",
                                   *proof.through));
}

}  // namespace

RelayFinding find_relaying(const std::string& file, const Policy& policy) {
  if (policy.site().relay_by_mta) return {"relaying is denied by the MTA, as [site] relay says", std::nullopt};
  const RelayProof proof = prove_relay(policy);
  if (proof.kind == RelayProof::Kind::closed) {
    return {"no stranger can relay through this policy (proved)", std::nullopt};
  }
  if (proof.kind == RelayProof::Kind::open) return open_relay(file, proof);
  const WhyUndecided undecided = why_undecided(proof.cause);
  return relay_warning(file, Rg::relay_undecided,
                       fmt::format("whether a stranger can relay could not be decided: {}", undecided.why),
                       std::string(undecided.help));
}

}  // namespace replygate

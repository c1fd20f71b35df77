#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/policy.h"

namespace replygate {

// Whether a policy lets a stranger relay: some client outside of trusted_networks, without login, over SMTP, whose
// message reaches a recipient that is neither local nor relayed while no counter was used yet.
//
// Decided over the compiled rules: what stands in the way of such a message are the refusals (and discards) of enforced
// rules without limits, greylisting or share. A way through exists if some transaction escapes all of them, by a
// condition that it does not fulfil or by an earlier rule that accepts it; a search over all such choices finds one or
// proves that there is none. Assumed: the MTA tells every fact that rules name, and asks for every recipient.
struct RelayProof {
  enum class Kind : std::uint8_t { closed, open, undecided };

  Kind kind = Kind::closed;
  std::string transaction;             // of kind open: the counterexample, as an SMTP dialogue in one line
  std::optional<std::string> through;  // the rule that accepts it, if one does
  std::size_t guards = 0;              // rules that stand in the way
};

RelayProof prove_relay(const Policy& policy);

}  // namespace replygate

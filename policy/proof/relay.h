#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/proof/solver.h"
#include "policy/rules/policy.h"

namespace replygate {

// Whether a policy lets a stranger relay: some client outside of trusted_networks, without login, over SMTP, whose
// message reaches a recipient that is neither local nor relayed.
//
// `closed` is a proof over the compiled rules. What stands in the way of such a message are the refusals (and discards)
// of enforced rules without limits, greylisting or share: whatever else may let something pass is taken to let it pass.
// A way through would be a transaction that escapes all of them, each by a condition that it does not fulfil, by an
// unknown fact that the rule skips, by a session without EHLO, or by an earlier rule that accepts it, or has accepted
// the message for another recipient. The search finds that none of these can be combined. What a session carries from
// one stage, recipient, message or greeting to the next (recipients, messages, refusals, age, time of day, rules that
// have accepted) may have any value that it could have by itself.
//
// `open` has a transaction that was played through the policy and relays, where no live source knows what it is asked
// for. Everything else is `undecided`.
//
// Assumed: the client has an address; the MTA tells login and TLS truly, asks for every MAIL, recipient and message
// (not for EHLO); local_domains and relay_domains are the whole truth, or without them the mailers `local`, `virtual`
// and `relay` are not external, `smtp` is, and others may be. A message that is held counts as let through, and what is
// no address as delivered.
struct RelayProof {
  enum class Kind : std::uint8_t { closed, open, undecided };

  Kind kind = Kind::closed;
  std::string transaction;             // of kind open: the counterexample, as an SMTP dialogue in one line
  std::optional<std::string> through;  // the rule that accepts it, if one does
  std::size_t guards = 0;              // rules that stand in the way
  Cause cause = Cause::none;           // of kind undecided
};

RelayProof prove_relay(const Policy& policy);

}  // namespace replygate

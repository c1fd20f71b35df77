#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/count/store.h"
#include "policy/count/store_memory.h"
#include "policy/decide/outcome_key.h"
#include "policy/decide/record.h"
#include "policy/remote/outcome_kind.h"

// Limits of what became of mail: where outcomes count, and what they charge. Pure.
namespace replygate {

// The MTA has taken the message over for this recipient. `record` is of one that was accepted.
bool was_let_through(const Record& record, const JudgedRecipient& judged);

// The recipient is one of this site, which no other server can call dead.
bool is_ours(const Record& record, const Recipient& recipient);
// Of one of whom only the address is known.
bool is_ours(const Site& site, std::string_view domain);
// Whether the site takes mail for the address, its own or relayed. What an alias makes of a recipient may be anywhere.
bool is_served(const Site& site, std::string_view address);

// The rules that compared their limits of outcomes with this recipient, and their keys; none where the MTA has not
// taken the message over.
std::vector<OutcomeKey> outcome_keys_of(const Record& record, const JudgedRecipient& judged);

// The unit in which it counts; nothing where none does.
std::optional<Unit> unit_of(OutcomeKind kind);

// One outcome of one recipient.
struct CountedOutcome {
  Unit unit = Unit::hard_bounces;
  std::string member;    // which: what has one name counts once
  Instant at{};          // it happened
  bool unmeant = false;  // of a null sender's mail, or of what an alias or a forward has made
};

// Those of what becomes of mail.
inline constexpr std::array kOutcomeUnits = {Unit::hard_bounces, Unit::blocked, Unit::deferrals, Unit::deliveries,
                                             Unit::complaints};

// Some rule counts what becomes of mail, or asks for dead recipients.
bool asks_for_outcomes(const Policy& policy);

// It changes what the policy answers: the rule is in force.
bool depends_on_outcomes(const Policy& policy);

// Whether some limit of the key counts it.
bool counts_anywhere(const Policy& policy, const OutcomeKey& key, const CountedOutcome& outcome);

// What it charges, in whichever limits the rule has for the key by now; those whose period is over are left out.
std::vector<Charge> charges_of_outcome(const Policy& policy, const OutcomeKey& key, const CountedOutcome& outcome,
                                       Instant now);

// Counts it at once for each key, in a store that never waits.
void count_outcome(MemoryStore& store, const Policy& policy, std::span<const OutcomeKey> keys,
                   const CountedOutcome& outcome, Instant now);

}  // namespace replygate

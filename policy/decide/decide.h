#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/catalogue/reply.h"
#include "policy/count/store.h"
#include "policy/decide/inquiry.h"

namespace replygate {

// A limit that was compared, as it stood before the decision.
struct LimitUse {
  const Rule* rule = nullptr;
  Limit limit;
  std::string key;
  std::int64_t used = 0;
  std::int64_t cost = 0;
  bool fits = true;
  std::optional<Instant> room_at;
  bool warn = false;    // warn_at is reached, for the first time in this period
  bool local = false;   // counted on this host alone
  std::int64_t of = 0;  // of a share: so many recipients
};

// A look of greylisting at a key, as it was known before.
struct SightingUse {
  const Rule* rule = nullptr;
  std::string key;
  Sighting::State state = Sighting::State::fresh;
  bool client_known = false;  // so many keys of the client have passed that it does not wait
  bool passes = false;
  std::optional<Instant> room_at;
};

// A refusal, with its reason.
struct Finding {
  enum class Cause : std::uint8_t { rule, limit, never_fits, unknown };

  const Rule* rule = nullptr;
  Cause cause = Cause::rule;
  const Escalation* step = nullptr;  // of escalation, whose reply it is
  const Classification* classification = nullptr;
  Reply reply;
  // Where the reply may wait while the key goes on: what it is at each step of escalation, before the first one at the
  // head. Empty where the rule does not escalate.
  std::vector<Finding> rungs;
};

// What the policy says at one stage. A value; pointers are into the policy that decided.
struct Verdict {
  enum class Kind : std::uint8_t { pass, accept, refuse };

  Kind kind = Kind::pass;
  const Rule* accepted_by = nullptr;
  std::optional<Finding> refusal;             // of kind refuse
  std::vector<Header> headers;                // to be added if the message is let through
  std::vector<Finding> observed;              // what observed rules would have said
  std::vector<const Rule*> observed_actions;  // observed rules that would have held or discarded
  std::vector<const Rule*> unknown;           // rules that could not be judged
  std::vector<const Rule*> unread;            // of them: those whose counters the store did not give
  std::vector<LimitUse> limits;               // every limit compared, up to the rule that answered
  std::vector<SightingUse> sightings;
  std::int64_t evicted = 0;  // counters that were forgotten before their time, since the store was full

  // No rule had anything to say, not even in observe mode.
  bool empty() const {
    return kind == Kind::pass && observed.empty() && observed_actions.empty() && unknown.empty() && limits.empty() &&
           sightings.empty() && headers.empty() && evicted == 0;
  }
};

// Adds what a later stage said of the same message: its observations and limits, and its answer if it has one.
void merge(Verdict& verdict, Verdict&& later);

// What a verdict has in memory besides itself, roughly, in octets.
std::size_t octets_of(const Verdict& verdict);

// Leaves room in a reply for what an MTA puts before it at the command that `facts` are of.
void leave_room(Finding& finding, const Facts& facts);

// What a decision is told besides facts.
struct Moment {
  Instant now;
  std::string_view ref;  // of the decision
};

// A text about a limit, filled as that of its reply would be.
std::vector<std::string> fill(const ReplyTemplate& text, const LimitUse& use, const Facts& facts, const Moment& moment);

// The first candidate that answers, given the readings of all asks, in their order; a reading that is not available
// makes its rule unknown. Pure; total; reads no clock.
Verdict decide(const Facts& facts, const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings,
               const Moment& moment);

}  // namespace replygate

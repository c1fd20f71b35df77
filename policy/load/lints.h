#pragma once

#include "policy/load/context.h"
#include "policy/rules/policy.h"

// Single things that a whole policy is looked at for; each reports what it finds.
namespace replygate {

// The head of a rule: [[rule]].
Region head_of(const Rule& rule);

// Rules that accept too late to keep an earlier-judged rule, which stands behind them, from refusing.
void warn_of_late_acceptance(Context& context, const Policy& policy);
// Steps of escalation behind which a step stands that is reached as early.
void warn_of_unreached_steps(Context& context, const Policy& policy);
// Keys under which all clients without a verified name are one.
void warn_of_shared_keys(Context& context, const Policy& policy);
// `external` where nothing says which domains are not.
void warn_of_untold_externals(Context& context, const Policy& policy);
// Fewer recipients in a message than RFC 5321 §4.5.3.1.8 asks a server to take.
void note_few_recipients(Context& context, const Policy& policy);

// Limits of what became of mail where no log tells it.
void warn_of_unknown_outcomes(Context& context, const Policy& policy);

}  // namespace replygate

#pragma once

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// Warns of what is no mistake of writing, but hardly meant: rules that can never hold, or are never reached, and what
// lints.h has.
void lint(Context& context, const Policy& policy);

}  // namespace replygate

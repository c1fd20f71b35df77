#pragma once

#include "policy/load/context.h"
#include "policy/policy.h"

namespace replygate {

// Warns of what is no mistake of writing, but hardly meant: rules that can never hold, or are never reached.
void lint(Context& context, const Policy& policy);

}  // namespace replygate

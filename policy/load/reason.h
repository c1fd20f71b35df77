#pragma once

#include "policy/rules/policy.h"

namespace replygate {

// The classification that a rule states by its own facts, so that a bare code may say it: greylisting; a limit within
// one message or session; a relay rule; or a `when` of one condition that is a reason, client_name = "unknown" for
// instance. Null where the rule's facts only select mail: the reason is then the admin's, and nobody has named it.
const Classification* reason_of(const Rule& rule);

}  // namespace replygate

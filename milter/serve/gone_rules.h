#pragma once

#include <string>

#include "policy/rules/policy.h"

namespace replygate {

// For people, a line for each rule of `before` that counts, that `after` neither has nor names in `was`, and whose
// counters would fit a new rule of `after`: a rename that was forgotten would let everybody begin anew. "" for none.
// Pure.
std::string notes_on_gone_rules(const Policy& before, const Policy& after);

}  // namespace replygate

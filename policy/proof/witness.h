#pragma once

#include "policy/rules/policy.h"

namespace replygate {

// A quick look before the search of solver.h, for rules by the thousand: whether each condition, on facts that hang on
// no other of the rule's, holds for a value that stands in it. False says nothing. Pure; any thread.
bool plainly_holds(const Rule& rule, const Site& site);

}  // namespace replygate

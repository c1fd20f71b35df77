#pragma once

#include <vector>

#include "policy/load/context.h"
#include "policy/load/patterns.h"
#include "policy/load/replies.h"
#include "policy/rules/policy.h"

namespace replygate {

// What rules take from [milter] where they say nothing themselves.
struct RuleDefaults {
  Mode mode = Mode::enforce;
  OnUnknown on_unknown = OnUnknown::tempfail;
};

// Compiles the tables of [[rule]], all of them, mistakes or not. A table whose limits are counted at several stages
// makes several rules of one name, one behind the other.
std::vector<Rule> load_rules(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults,
                             const std::vector<const Node*>& tables);

}  // namespace replygate

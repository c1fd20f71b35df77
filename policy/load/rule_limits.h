#pragma once

#include "policy/rules/rule.h"

namespace replygate {

// Hands over the limits of a rule, which may be const, and those of its overrides.
template <typename AnyRule, typename Take>
void each_limit(AnyRule& rule, Take take) {
  take(rule.limits);
  for (auto& [key, limits] : rule.overrides.exact) take(limits);
  for (auto& [set, limits] : rule.overrides.patterns) take(limits);
  for (auto& [set, limits] : rule.overrides.networks) take(limits);
}

}  // namespace replygate

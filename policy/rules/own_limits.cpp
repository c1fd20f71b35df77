#include "policy/rules/own_limits.h"

#include <algorithm>

namespace replygate {

Limits OwnLimits::in_place_of(const Limits& of_rule) const {
  if (all) return {};
  Limits result;
  for (const Limit& limit : of_rule) {
    const bool is_exempt = std::ranges::find(exempt, limit.unit) != exempt.end();
    const bool replaced =
        std::ranges::any_of(limits, [&](const Limit& l) { return l.unit == limit.unit && l.scope == limit.scope; });
    if (!is_exempt && !replaced) result.push_back(limit);
  }
  result.insert(result.end(), limits.begin(), limits.end());
  return result;
}

}  // namespace replygate

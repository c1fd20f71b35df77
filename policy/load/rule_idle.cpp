#include "policy/load/rule_counting.h"

namespace replygate {

// A source that is asked may name any unit.
void RuleCounting::warn_of_idle_keys() {
  bool outcomes = false;
  bool others = has_failed_ || rule_.overrides.live.source != nullptr;
  const bool unknown = others;
  each_limit(rule_, [&](const Limits& all) {
    for (const Limit& limit : all) (counts_outcomes(limit.unit) ? outcomes : others) = true;
  });
  const Entry* warning = table_.find("warn_at");
  if (warning != nullptr && outcomes && !others) {
    context_.warning(Rg::key_idle, warning->key_region, "warn_at has no effect on limits of what became of mail",
                     "remove it; [notify] on = [\"bounces\", \"blocked\"] tells of such mail");
  }
  const Entry* whose = table_.find("outcomes_of");
  if (whose != nullptr && others && !outcomes && !unknown) {
    context_.warning(Rg::key_idle, whose->key_region, "outcomes_of has no effect, as the rule counts no outcomes",
                     "remove it, or count for instance \"20 hard_bounces / 1h\"");
  }
}

}  // namespace replygate

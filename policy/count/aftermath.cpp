#include "policy/count/aftermath.h"

#include <algorithm>

namespace replygate {
namespace {

void count_event(Unit unit, const Policy& policy, const Facts& facts, const Rule* cause, std::vector<Ask>& result) {
  for (const Rule* rule : policy.rules_counting(unit)) {
    // A rule's own refusals are no reason for it to go on refusing.
    const bool own = cause != nullptr && cause->name == rule->name;
    if (own || holds_of(*rule, facts) != Truth::yes) continue;
    const auto key = key_of(*rule, facts, policy.site());
    if (!key) continue;
    for (const Limit& limit : limits_of(*rule, *key)) {
      if (limit.unit == unit) result.push_back(ask_for(*rule, limit, *key, facts));
    }
  }
}

bool refused_by(const Verdict& verdict, const Rule& rule) {
  return (verdict.refusal && verdict.refusal->rule == &rule) ||
         std::ranges::any_of(verdict.observed, [&](const Finding& f) { return f.rule == &rule; });
}

}  // namespace

std::vector<Ask> asks_after(const Policy& policy, const Facts& facts, const Question& question, const Charges& charges,
                            const std::vector<std::optional<Reading>>& readings, const Verdict& verdict) {
  std::vector<Ask> result;
  if (!question.counters) return result;
  for (std::size_t i = 0; i < charges.asks.size(); ++i) {
    const Ask& ask = charges.asks[i];
    const bool escalates = ask.purpose == Ask::Purpose::escalation && refused_by(verdict, *ask.rule);
    const bool known_now =
        ask.purpose == Ask::Purpose::client && readings[i - 1] && readings[i - 1]->sighting == Sighting::State::passing;
    // Steps over one period share a counter.
    if (!(escalates || known_now) || std::ranges::find(result, ask.counter, &Ask::counter) != result.end()) continue;
    result.push_back(ask);
    result.back().cost = 1;
  }
  if (question.mta_refused) {
    count_event(Unit::unknown_recipients, policy, facts, nullptr, result);
  } else if (verdict.kind == Verdict::Kind::refuse && !question.counting_only) {
    count_event(Unit::refusals, policy, facts, verdict.refusal->rule, result);
  }
  return result;
}

}  // namespace replygate

#include "policy/decide/aftermath.h"

#include <algorithm>

namespace replygate {
namespace {

void count_event(Unit unit, const Policy& policy, const Facts& facts, FactSet beyond, const Rule* cause,
                 std::vector<Ask>& result) {
  for (const Rule* rule : policy.rules_counting(unit)) {
    // A rule's own refusals are no reason for it to go on refusing.
    const bool own = cause != nullptr && cause->name == rule->name;
    if (own || (rule->facts & beyond) != 0 || holds_of(*rule, facts) != Truth::yes) continue;
    const auto key = key_of(*rule, facts, policy.site());
    if (!key) continue;
    Limits said;
    const Limits* limits = limits_of(*rule, *key, facts.answers, said);
    if (limits == nullptr) continue;
    for (const Limit& limit : *limits) {
      if (limit.unit != unit) continue;
      const Limit now = raised(limit, policy.raises(), rule->name, key->shown, facts.now);
      result.push_back(ask_for(*rule, now, *key, facts));
    }
  }
}

// Steps over one period share a counter. That something could not be known is no fault of the key.
void count_escalation(const Finding& finding, const Policy& policy, const Facts& facts, std::vector<Ask>& result) {
  const Rule& rule = *finding.rule;
  if (rule.escalate.empty() || finding.cause == Finding::Cause::unknown) return;
  const auto key = key_of(rule, facts, policy.site());
  if (!key) return;
  for (const Escalation& step : rule.escalate) {
    Ask ask = escalation_ask(rule, step, *key, facts);
    if (std::ranges::find(result, ask.counter, &Ask::counter) != result.end()) continue;
    ask.cost = 1;
    result.push_back(std::move(ask));
  }
}

}  // namespace

std::vector<Ask> asks_of_passing(const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings) {
  std::vector<Ask> result;
  for (std::size_t i = 1; i < inquiry.asks.size(); ++i) {
    const Ask& ask = inquiry.asks[i];
    if (ask.purpose != Ask::Purpose::client || !readings[i - 1]) continue;
    if (readings[i - 1]->sighting != Sighting::State::passing) continue;
    result.push_back(ask);
    result.back().cost = 1;
  }
  return result;
}

std::vector<Ask> asks_of_reply(const Policy& policy, const Facts& facts, const Question& question,
                               const Verdict& verdict) {
  std::vector<Ask> result;
  if (question.mta_refused) {
    count_event(Unit::unknown_recipients, policy, facts, question.beyond, nullptr, result);
    return result;
  }
  if (question.counting_only) return result;
  if (question.counters) {  // else the rule does not escalate there
    for (const Finding& finding : verdict.observed) count_escalation(finding, policy, facts, result);
    if (verdict.refusal) count_escalation(*verdict.refusal, policy, facts, result);
  }
  if (verdict.kind != Verdict::Kind::refuse) return result;
  count_event(Unit::refusals, policy, facts, question.beyond, verdict.refusal->rule, result);
  return result;
}

}  // namespace replygate

#include <algorithm>

#include "policy/decide/outcomes.h"
#include "policy/load/lints.h"

namespace replygate {
namespace {

// Wherever `step` is reached, `later` is.
bool comes_as_early(const Escalation& later, const Escalation& step) {
  return later.after.most <= step.after.most && later.after.period >= step.after.period;
}

bool has_key(const Rule& rule, Fact fact) {
  return std::ranges::find(rule.per, fact, &FactRef::fact) != rule.per.end();
}

// Some condition keeps clients without a verified name out.
bool leaves_unverified_alone(const Rule& rule) {
  const Value unverified = std::string_view("unknown");
  const auto says = [&](Truth truth) {
    return [&unverified, truth](const Condition& c) {
      return c.fact.fact == Fact::client_name && matches(c.matcher, unverified) == truth;
    };
  };
  return std::ranges::any_of(rule.when, says(Truth::no)) || std::ranges::any_of(rule.unless, says(Truth::yes));
}

}  // namespace

void warn_of_unreached_steps(Context& context, const Policy& policy) {
  for (const Rule& rule : policy.rules()) {
    for (auto step = rule.escalate.begin(); step != rule.escalate.end(); ++step) {
      const auto later = std::find_if(step + 1, rule.escalate.end(),
                                      [&](const Escalation& other) { return comes_as_early(other, *step); });
      if (later == rule.escalate.end()) continue;
      context.warning(Rg::step_unreached, head_of(rule),
                      fmt::format("the step \"{}\" of the rule \"{}\" is never reached", step->after.text(), rule.name),
                      fmt::format("\"{}\", which stands behind it, is reached as early: let the steps ascend",
                                  later->after.text()));
    }
  }
}

void warn_of_unknown_outcomes(Context& context, const Policy& policy) {
  if (!policy.settings().outcomes.log.empty()) return;
  for (const Rule& rule : policy.rules()) {
    const auto unit = std::ranges::find_if(kOutcomeUnits, [&](Unit one) { return rule.counts(one); });
    const bool asks = rule.needs(Fact::recipient_dead);
    if (unit == kOutcomeUnits.end() && !asks) continue;
    context.warning(Rg::outcomes_unknown, head_of(rule),
                    fmt::format("\"{}\" {} {}, and nothing tells what became of mail", rule.name,
                                asks ? "asks for" : "counts", asks ? "recipient_dead" : to_string(*unit)),
                    "add [outcomes] with log = \"journal\" or log = \"/var/log/mail.log\"");
  }
}

void warn_of_shared_keys(Context& context, const Policy& policy) {
  for (const Rule& rule : policy.rules()) {
    if (!has_key(rule, Fact::client_name) || has_key(rule, Fact::client_ip) || has_key(rule, Fact::client_net))
      continue;
    if (leaves_unverified_alone(rule)) continue;
    context.warning(Rg::shared_key, head_of(rule),
                    fmt::format("\"{}\" takes all clients without a verified name for one: \"unknown\"", rule.name),
                    "count per client_ip or client_net, or add unless = { client_name = \"unknown\" }");
  }
}

}  // namespace replygate

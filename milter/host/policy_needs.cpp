#include "milter/host/policy_needs.h"

#include <algorithm>
#include <limits>

namespace replygate {
namespace {

// "> 100" is what exceeds 100.
std::int64_t limit_of(const Condition& condition) {
  std::int64_t most = 0;
  const auto* ranges = std::get_if<std::vector<NumberRange>>(&condition.matcher);
  if (condition.fact.fact != Fact::recipients || ranges == nullptr) return 0;
  for (const NumberRange& range : *ranges) {
    const bool open = range.most == std::numeric_limits<std::int64_t>::max();
    if (open && !range.inverse) most = std::max(most, range.least - 1);
  }
  return most;
}

}  // namespace

std::int64_t most_recipients(const Policy& policy) {
  std::int64_t most = 0;
  for (const Rule& rule : policy.rules()) {
    if (!rule.refuses() || rule.mode == Mode::observe) continue;
    for (const Condition& condition : rule.when) most = std::max(most, limit_of(condition));
    for (const Limit& limit : rule.limits) {
      if (limit.scope == Scope::message && limit.unit == Unit::recipients) most = std::max(most, limit.most);
    }
  }
  return most;
}

bool has_relay_rule(const Policy& policy) {
  return std::ranges::any_of(policy.rules(), [](const Rule& rule) {
    const auto* reply = std::get_if<ReplySpec>(&rule.outcome);
    return reply != nullptr && reply->classification->slug == "relay-denied";
  });
}

bool refuses_recipients(const Policy& policy) {
  return std::ranges::any_of(policy.rules_at(Stage::rcpt),
                             [](const Rule* rule) { return rule->refuses() && rule->mode == Mode::enforce; });
}

FilterOrder filter_order(const Policy& policy) {
  FilterOrder order;
  for (const Rule& rule : policy.rules()) {
    if (!rule.has_limits() || rule.greylist) continue;
    const bool events = rule.count == Count::attempts || rule.counts(Unit::refusals);
    std::string& name = events ? order.first : order.last;
    const bool charges = rule.counts(Unit::messages) || rule.counts(Unit::recipients) || rule.counts(Unit::bytes) ||
                         rule.counts(Unit::distinct_recipients);
    if (name.empty() && (events || charges)) name = rule.name;
  }
  return order;
}

Duration longest_wait(const Policy& policy) {
  const Settings& settings = policy.settings();
  Duration sources{};
  for (const LiveSourcePtr& source : policy.live_sources()) sources += source->timeout;
  const bool shared = settings.store.backend == StoreSettings::Backend::redis;
  return (shared ? settings.store.timeout : Duration(0)) + sources +
         (settings.mailbox.none() ? Duration(0) : settings.mailbox.timeout);
}

}  // namespace replygate

#include <algorithm>

#include "policy/decide/inquiry.h"
#include "policy/rules/answers.h"

namespace replygate {
namespace {

// What a live source says of the key, of the units that are counted by this part of the rule. Null: it has not said it.
const Limits* live_limits_of(const Rule& rule, const Key& key, Answers* answers, Limits& own) {
  const LiveLimits& live = rule.overrides.live;
  const LiveAnswer* answer = answers == nullptr ? nullptr : answers->find(*live.source, key.shown);
  if (answer == nullptr || answer->state == LiveAnswer::State::untold) return nullptr;
  if (answer->state == LiveAnswer::State::none) return &rule.limits;
  auto read = live.read(answer->text);
  if (!read) {
    answers->misread(*live.source, key.shown);
    return nullptr;
  }
  std::erase_if(read->limits, [&](const Limit& l) {
    return std::ranges::find(rule.limits, l.unit, &Limit::unit) == rule.limits.end();
  });
  own = read->in_place_of(rule.limits);
  return &own;
}

}  // namespace

const Limits* limits_of(const Rule& rule, const Key& key, Answers* answers, Limits& own) {
  if (const Limits* kept = rule.overrides.find(key.shown)) return kept;
  return rule.overrides.live.source == nullptr ? &rule.limits : live_limits_of(rule, key, answers, own);
}

std::vector<Ask> asks_of_key(const Policy& policy, const Rule& rule, const Key& key, Instant now, Answers* answers) {
  const Connection nobody;
  const Facts facts{.connection = nobody, .now = now, .zone = &policy.site().zone};
  std::vector<Ask> asks;
  Limits own;
  const Limits* limits = limits_of(rule, key, answers, own);
  for (const Limit& limit : limits == nullptr ? rule.limits : *limits) {
    if (!limit.in_store()) continue;
    const Limit present = raised(limit, policy.raises(), rule.name, key.shown, now);
    asks.push_back(ask_for(rule, present, key, facts));
    if (present.share > 0) fill_whole(asks.emplace_back(), rule, present, key, facts);
  }
  for (const Escalation& step : rule.escalate) asks.push_back(escalation_ask(rule, step, key, facts));
  return asks;
}

}  // namespace replygate

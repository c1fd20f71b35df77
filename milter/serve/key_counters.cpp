#include "milter/serve/key_counters.h"

#include <algorithm>

#include "milter/serve/report_status.h"
#include "policy/decide/fetch.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"

namespace replygate {

namespace json = boost::json;

namespace {

// What `look` sees where live sources say what they are known to say.
template <typename Look>
auto with_known(Lookups* lookups, Look look) {
  Answers answers;
  auto seen = look(answers);
  if (answers.all_told()) return seen;
  tell_known(answers, lookups);
  return look(answers);
}

}  // namespace

Counters counters_of(std::shared_ptr<const Policy> policy, Instant now, const std::string& key,
                     const std::string& wanted, Lookups* lookups) {
  Counters found{.policy = std::move(policy), .key = to_lower(key), .asks = {}};
  found.rule_known = wanted.empty();
  for (const Rule& rule : found.policy->rules()) {
    found.rule_known |= rule.name == wanted;
    if (!rule.has_limits() || rule.greylist || (!wanted.empty() && rule.name != wanted)) continue;
    const auto counted_key = key_from_text(rule, found.key, found.policy->site());
    if (!counted_key) continue;
    std::vector<Ask> asks = with_known(
        lookups, [&](Answers& answers) { return asks_of_key(*found.policy, rule, *counted_key, now, &answers); });
    for (Ask& ask : asks) {
      const bool known = std::ranges::any_of(found.asks, [&](const Ask& a) { return a.counter == ask.counter; });
      if (!known) found.asks.push_back(std::move(ask));
    }
  }
  return found;
}

// `most` is one less than the limit: room for one more is room.
std::vector<Charge> looks_of(const std::vector<Ask>& asks) {
  std::vector<Charge> charges;
  for (const Ask& ask : asks) {
    charges.push_back(charge_of(ask, 0, false, false));
    charges.back().cost = 0;
    charges.back().most -= 1;
    charges.back().warn_at = 0;
  }
  return charges;
}

namespace {}  // namespace

std::optional<json::object> row_of(const std::vector<Ask>& asks, std::size_t i, const Readings& answer,
                                   Lookups* lookups) {
  const Ask& ask = asks[i];
  const auto& reading = answer.readings[i];
  if (!reading || ask.purpose == Ask::Purpose::whole) return std::nullopt;
  const Limits own = with_known(lookups, [&](Answers& answers) {
    Limits said;
    const Limits* limits = limits_of(*ask.rule, {ask.key, ""}, &answers, said);
    return limits == nullptr ? ask.rule->limits : *limits;
  });
  const bool is_whole_known = ask.limit.share > 0 && i + 1 < asks.size() && answer.readings[i + 1] &&
                              asks[i + 1].purpose == Ask::Purpose::whole;
  const std::int64_t of = is_whole_known ? answer.readings[i + 1]->used : 0;
  const std::int64_t most = ask.limit.share > 0 ? ask.limit.most_of(of) : ask.limit.depth();
  json::object row{{"rule", json_text(ask.rule->name)},
                   {"limit", ask.limit.text()},
                   {"used", reading->used},
                   {"most", most},
                   {"left", std::max<std::int64_t>(most - reading->used, 0)}};
  if (ask.limit.share > 0) row["of"] = of;
  if (ask.purpose == Ask::Purpose::escalation) row["escalation"] = true;
  const bool as_written = ask.purpose == Ask::Purpose::escalation || std::ranges::find(own, ask.limit) != own.end();
  if (!as_written) row["raised"] = true;
  const bool full = ask.limit.share > 0 ? ask.limit.is_reached(reading->used, of) : reading->used >= most;
  if (full && reading->room_at) row["room_at"] = detail::format_time(*reading->room_at);
  return row;
}

}  // namespace replygate

#include "milter/serve/control_quota.h"

#include <algorithm>
#include <boost/json.hpp>

#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "milter/serve/report_status.h"
#include "policy/count/charges.h"
#include "policy/mail/text.h"
#include "policy/record_fields.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

namespace json = boost::json;

// The counters that the policy keeps for the key of a request, and what keeps their rules alive.
struct Counters {
  std::shared_ptr<const Policy> policy;
  std::string key;
  std::vector<Ask> asks;
};

Counters counters_of(const Desk& desk, const json::object& request) {
  Counters found{.policy = desk.keeper.current().get(), .key = to_lower(text_at(request, "key")), .asks = {}};
  const std::string wanted = text_at(request, "rule");
  for (const Rule& rule : found.policy->rules()) {
    if (!rule.has_limits() || rule.greylist || (!wanted.empty() && rule.name != wanted)) continue;
    const auto key = key_from_text(rule, found.key, found.policy->site());
    if (!key) continue;
    for (Ask& ask : asks_of_key(*found.policy, rule, *key, desk.clock.now())) {
      const bool known = std::ranges::any_of(found.asks, [&](const Ask& a) { return a.counter == ask.counter; });
      if (!known) found.asks.push_back(std::move(ask));
    }
  }
  return found;
}

ControlAnswer nothing_counts(const std::string& key) {
  return {.status = kFound, .error = fmt::format("no rule counts for the key \"{}\"", key)};
}

json::object row_of(const Ask& ask, const Reading& reading, const Limits& own) {
  json::object row{{"rule", json_text(ask.rule->name)},
                   {"limit", ask.limit.text()},
                   {"used", reading.used},
                   {"most", ask.limit.depth()},
                   {"left", std::max<std::int64_t>(ask.limit.depth() - reading.used, 0)}};
  if (ask.purpose == Ask::Purpose::escalation) row["escalation"] = true;
  const bool as_written = ask.purpose == Ask::Purpose::escalation || std::ranges::find(own, ask.limit) != own.end();
  if (!as_written) row["raised"] = true;
  if (reading.used >= ask.limit.depth() && reading.room_at) row["room_at"] = detail::format_time(*reading.room_at);
  return row;
}

}  // namespace

void quota_show(Desk& desk, const json::object& request, const ControlDone& done) {
  auto counters = std::make_shared<Counters>(counters_of(desk, request));
  if (counters->asks.empty()) return done(nothing_counts(counters->key));
  std::vector<Charge> charges;
  for (const Ask& ask : counters->asks) {
    charges.push_back(charge_of(ask, 0, false, false));
    charges.back().cost = 0;
    charges.back().most -= 1;  // room for one more is room
    charges.back().warn_at = 0;
  }
  desk.store.take(std::move(charges), false, desk.clock.now(), [counters, done](const Readings& answer) {
    json::array rows;
    for (std::size_t i = 0; i < answer.readings.size(); ++i) {
      const Ask& ask = counters->asks[i];
      if (!answer.readings[i]) continue;
      rows.push_back(row_of(ask, *answer.readings[i], limits_of(*ask.rule, {counters->key, ""})));
    }
    if (rows.empty()) return done({.status = kUnavailable, .error = "the store cannot be asked"});
    done({.result = {{"key", json_text(counters->key)}, {"limits", std::move(rows)}}});
  });
}

void quota_reset(Desk& desk, const json::object& request, const ControlDone& done) {
  const Counters counters = counters_of(desk, request);
  if (counters.asks.empty()) return done(nothing_counts(counters.key));
  std::vector<std::string> names;
  for (const Ask& ask : counters.asks) {
    names.push_back(ask.counter);
    if (!ask.was.empty()) names.push_back(ask.was);
  }
  const std::size_t count = counters.asks.size();
  desk.store.forget(std::move(names), desk.clock.now(), [key = counters.key, count, done](bool reached) {
    if (!reached) return done({.status = kUnavailable, .error = "the store cannot be reached; nothing is reset"});
    say(fmt::format("quota: {} counters of \"{}\" were reset", count, key));
    done({.result = {{"key", json_text(key)}, {"reset", count}}});
  });
}

void quota_raise(Desk& desk, const json::object& request, const ControlDone& done) {
  const Counters counters = counters_of(desk, request);
  if (counters.asks.empty()) return done(nothing_counts(counters.key));
  const json::value* percent = request.if_contains("percent");
  const auto until = parse_time(text_at(request, "until"));
  if (percent == nullptr || !percent->is_int64() || percent->as_int64() < 100 || percent->as_int64() > 100'000 ||
      !until) {
    return done({.status = kUsage, .error = "raise takes a percent from 100 to 100000, and until when"});
  }
  const Raise raise{.key = counters.key,
                    .rule = text_at(request, "rule"),
                    .percent = percent->as_int64(),
                    .until = *until,
                    .reason = text_at(request, "reason")};
  if (auto taken = desk.keeper.raise(raise); !taken) {
    return done({.status = kUnavailable, .error = fmt::format("{}; nothing is raised", taken.error())});
  }
  say(fmt::format("quota: limits of \"{}\" are {} % until {}", raise.key, raise.percent, detail::format_time(*until)));
  done({.result = {{"key", json_text(raise.key)},
                   {"percent", raise.percent},
                   {"until", detail::format_time(*until)},
                   {"policy", desk.keeper.current().get()->id()}}});
}

}  // namespace replygate

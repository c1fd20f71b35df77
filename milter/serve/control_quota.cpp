#include "milter/serve/control_quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/log/say.h"
#include "milter/serve/key_counters.h"
#include "milter/serve/report_status.h"
#include "policy/decide/inquiry.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

namespace json = boost::json;

std::shared_ptr<Counters> counters_for(const Desk& desk, const json::object& request) {
  return std::make_shared<Counters>(counters_of(desk.keeper.current().get(), desk.clock.now(), text_at(request, "key"),
                                                text_at(request, "rule"), desk.lookups));
}

ControlAnswer nothing_counts(const Counters& counters, const json::object& request) {
  const std::string rule = text_at(request, "rule");
  if (!counters.rule_known) {
    return {.status = kFound, .error = fmt::format("there is no rule \"{}\"; replygate rules lists them", rule)};
  }
  const std::string who = rule.empty() ? "no rule" : fmt::format("the rule \"{}\" does not", rule);
  return {.status = kFound,
          .error = fmt::format("{} count{} for a key like \"{}\"", who, rule.empty() ? "s" : "", counters.key)};
}

// The counters' names, with those that they had before, of such as have counted anything.
std::vector<std::vector<std::string>> counting_of(const Counters& counters, const Readings& answer) {
  std::vector<std::vector<std::string>> names;
  for (std::size_t i = 0; i < answer.readings.size(); ++i) {
    if (!answer.readings[i] || answer.readings[i]->used == 0) continue;
    names.push_back({counters.asks[i].counter});
    if (!counters.asks[i].was.empty()) names.back().push_back(counters.asks[i].was);
  }
  return names;
}

bool answered(const Readings& answer) {
  return std::ranges::any_of(answer.readings, [](const auto& reading) { return reading.has_value(); });
}

ControlAnswer out_of_reach() {
  return {.status = kUnavailable, .error = "the store cannot be reached, or may not do that; nothing is reset"};
}

// Rules may count one spelling under different keys, by what kind of fact it is to them.
std::set<std::string> keys_as_counted(const Counters& counters) {
  std::set<std::string> keys;
  for (const Ask& ask : counters.asks) keys.insert(ask.key);
  return keys;
}

}  // namespace

void quota_show(Desk& desk, const json::object& request, const ControlDone& done) {
  auto counters = counters_for(desk, request);
  if (counters->asks.empty()) return done(nothing_counts(*counters, request));
  desk.store.take(looks_of(counters->asks), false, desk.clock.now(),
                  [counters, lookups = desk.lookups, done](const Readings& answer) {
                    json::array rows;
                    for (std::size_t i = 0; i < answer.readings.size(); ++i) {
                      if (auto row = row_of(counters->asks, i, answer, lookups)) rows.push_back(*std::move(row));
                    }
                    if (rows.empty()) return done({.status = kUnavailable, .error = "the store cannot be asked"});
                    done({.result = {{"key", json_text(counters->key)}, {"limits", std::move(rows)}}});
                  });
}

void quota_reset(Desk& desk, const json::object& request, const ControlDone& done) {
  const auto counters = counters_for(desk, request);
  if (counters->asks.empty()) return done(nothing_counts(*counters, request));
  desk.store.take(looks_of(counters->asks), false, desk.clock.now(), [&desk, counters, done](const Readings& answer) {
    if (!answered(answer)) return done(out_of_reach());
    const auto counting = counting_of(*counters, answer);
    if (counting.empty()) {
      return done({.status = kFound,
                   .error = fmt::format("nothing has been counted for \"{}\"; nothing is reset", counters->key)});
    }
    std::vector<std::string> names;
    for (const auto& group : counting) names.insert(names.end(), group.begin(), group.end());
    const std::size_t count = counting.size();
    desk.store.forget(std::move(names), desk.clock.now(), [counters, count, done](bool reached) {
      if (!reached) return done(out_of_reach());
      say(fmt::format("quota: {} of \"{}\" reset", counted(count, "counter"), counters->key));
      done({.result = {{"key", json_text(counters->key)}, {"reset", count}}});
    });
  });
}

void quota_raise(Desk& desk, const json::object& request, const ControlDone& done) {
  const auto counters = counters_for(desk, request);
  if (counters->asks.empty()) return done(nothing_counts(*counters, request));
  const json::value* percent = request.if_contains("percent");
  const auto until = parse_time(text_at(request, "until"));
  if (percent == nullptr || !percent->is_int64() || percent->as_int64() < 100 || percent->as_int64() > 100'000 ||
      !until) {
    return done({.status = kUsage, .error = "raise takes a percent from 100 to 100000, and until when"});
  }
  if (*until <= desk.clock.now()) {
    return done({.status = kUsage, .error = "that time is over already; nothing is raised"});
  }
  for (const std::string& key : keys_as_counted(*counters)) {
    const Raise raise{.key = key,
                      .rule = text_at(request, "rule"),
                      .percent = percent->as_int64(),
                      .until = *until,
                      .reason = text_at(request, "reason")};
    if (auto taken = desk.keeper.raise(raise); !taken) {
      return done({.status = kUnavailable, .error = fmt::format("{}; it is not raised", taken.error())});
    }
  }
  say(fmt::format("quota: limits of \"{}\" are {} % until {}", counters->key, percent->as_int64(),
                  detail::format_time(*until)));
  json::object result{{"key", json_text(counters->key)},
                      {"percent", percent->as_int64()},
                      {"until", detail::format_time(*until)},
                      {"policy", desk.keeper.current().get()->id()}};
  // A key may be raised before its first message; whether it has been seen tells a slip of the finger.
  desk.store.take(looks_of(counters->asks), false, desk.clock.now(),
                  [counters, done, result = std::move(result)](const Readings& answer) mutable {
                    if (answered(answer)) result["counted"] = !counting_of(*counters, answer).empty();
                    done({.result = std::move(result)});
                  });
}

}  // namespace replygate

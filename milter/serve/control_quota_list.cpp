#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/serve/control_quota.h"
#include "milter/serve/key_counters.h"
#include "milter/serve/report_status.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostKeys = 100;  // of senders, of clients, and of limits: one store answers for all at once
constexpr std::size_t kMostCounters = 500;
constexpr std::size_t kMostListed = 1000;

// Counters know hashes of keys only: who has sent lately, and who was given more room, is looked up.
std::set<std::string> keys_of_late(const Desk& desk, const Policy& policy) {
  std::set<std::string> keys;
  const Rankings::Tables tables = desk.rankings.first(kMostKeys, desk.clock.now());
  for (const auto* rows : {&tables.senders, &tables.clients}) {
    for (const Ranking::Row& row : *rows) keys.insert(to_lower(row.key));
  }
  for (const Ranking::Row& row : tables.keys) keys.insert(row.key);
  for (const Raise& raise : policy.raises()) keys.insert(raise.key);
  return keys;
}

Counters counters_of_all(const Desk& desk, const std::string& rule) {
  Counters all{.policy = desk.keeper.current().get(), .key = {}, .asks = {}};
  std::set<std::string> known;
  for (const std::string& key : keys_of_late(desk, *all.policy)) {
    Counters one = counters_of(all.policy, desk.clock.now(), key, rule, desk.lookups);
    for (Ask& ask : one.asks) {
      const bool limit = ask.purpose != Ask::Purpose::escalation;
      if (limit && all.asks.size() < kMostCounters && known.insert(ask.counter).second)
        all.asks.push_back(std::move(ask));
    }
  }
  return all;
}

double share_of(const json::object& row) {
  const double most = row.at("most").to_number<double>();
  return most > 0 ? row.at("used").to_number<double>() / most : 1;
}

json::array fullest(std::vector<json::object> rows, std::size_t count) {
  std::ranges::stable_sort(rows, std::greater(), share_of);
  json::array list;
  for (json::object& row : rows) {
    if (list.size() == count) break;
    list.emplace_back(std::move(row));
  }
  return list;
}

json::array raises_in_force(const Policy& policy, Instant now) {
  json::array list;
  for (const Raise& raise : policy.raises()) {
    if (raise.until <= now || raise.percent <= 100) continue;
    list.push_back(json::object{{"key", json_text(raise.key)},
                                {"rule", json_text(raise.rule)},
                                {"percent", raise.percent},
                                {"until", detail::format_time(raise.until)},
                                {"reason", json_text(raise.reason)}});
  }
  return list;
}

}  // namespace

void quota_list(Desk& desk, const json::object& request, const ControlDone& done) {
  const json::value* wanted = request.if_contains("count");
  const std::int64_t asked = wanted != nullptr && wanted->is_int64() ? wanted->as_int64() : 10;
  const auto count = static_cast<std::size_t>(std::clamp<std::int64_t>(asked, 1, kMostListed));
  const auto counters = std::make_shared<Counters>(counters_of_all(desk, text_at(request, "rule")));
  const Instant now = desk.clock.now();
  if (counters->asks.empty()) {
    return done({.result = {{"limits", json::array()}, {"raises", raises_in_force(*counters->policy, now)}}});
  }
  desk.store.take(looks_of(counters->asks), false, now,
                  [counters, count, now, lookups = desk.lookups, done](const Readings& answer) {
                    std::vector<json::object> rows;
                    bool reached = false;
                    for (std::size_t i = 0; i < answer.readings.size(); ++i) {
                      reached |= answer.readings[i].has_value();
                      if (!answer.readings[i] || answer.readings[i]->used == 0) continue;
                      auto row = row_of(counters->asks, i, answer, lookups);
                      if (!row) continue;
                      (*row)["key"] = json_text(counters->asks[i].key);
                      rows.push_back(*std::move(row));
                    }
                    if (!reached) return done({.status = kUnavailable, .error = "the store cannot be asked"});
                    done({.result = {{"limits", fullest(std::move(rows), count)},
                                     {"raises", raises_in_force(*counters->policy, now)}}});
                  });
}

}  // namespace replygate

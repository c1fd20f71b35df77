#include "milter/serve/report_status.h"

#include <unistd.h>

#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/outcome/outcome_reader.h"
#include "milter/serve/notifier.h"
#include "milter/serve/outcome_trouble.h"
#include "policy/decide/outcomes.h"
#include "policy/decide/record_fields.h"

namespace replygate {
namespace {

namespace json = boost::json;

double microseconds(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1000; }

std::string_view backend_of(const StoreSettings& store) {
  using Backend = StoreSettings::Backend;
  return store.backend == Backend::memory ? "memory" : store.backend == Backend::sqlite ? "sqlite" : "redis";
}

json::object policy_of(const Desk& desk) {
  const PolicyKeeper::State state = desk.keeper.state();
  const auto policy = desk.keeper.current().get();
  json::array waiting;
  for (const std::string& section : state.waiting) waiting.push_back(json::string(section));
  return {{"id", policy->id()},
          {"file", json_text(desk.keeper.file())},
          {"since", detail::format_time(state.since)},
          {"rules", policy->named_rules()},
          {"last_good", state.last_good},
          {"trouble", json_text(state.trouble)},
          {"waiting", std::move(waiting)},
          {"reloads", state.reloads},
          {"failed_reloads", state.failures}};
}

json::object milter_of(const Desk& desk) {
  json::array listen;
  for (const std::string& address : desk.settings.listen) listen.push_back(json::string(address));
  return {{"listen", std::move(listen)},
          {"engine", to_string(desk.settings.engine)},
          {"sessions", desk.traffic.sessions()},
          {"transactions", desk.traffic.transactions()},
          {"sessions_since_start", desk.traffic.sessions_since_start()},
          {"starving", desk.traffic.starving()}};
}

json::object store_of(const Desk& desk) {
  const StoreHealth::State health = desk.health.state();
  std::int64_t failures = 0;
  for (const auto& [cause, count] : health.failures) failures += count;
  return {{"backend", backend_of(desk.settings.store)},
          {"trouble", json_text(health.trouble)},
          {"trouble_lasts_s", health.lasting.count()},
          {"failures", failures},
          {"evictions", desk.statistics.figures().evictions}};
}

json::array log_of(const Desk& desk) {
  json::array places;
  for (const auto& place : desk.sinks.places()) {
    places.push_back(json::object{
        {"place", json_text(place->name())}, {"dropped", place->dropped()}, {"trouble", json_text(place->trouble())}});
  }
  places.push_back(json::object{{"place", "records"}, {"dropped", desk.recorder.dropped()}, {"trouble", ""}});
  if (desk.history != nullptr) {
    places.push_back(json::object{{"place", "history"}, {"dropped", desk.history->dropped()}, {"trouble", ""}});
  }
  return places;
}

// Since when in whole seconds, so that it is the same each time that somebody asks.
json::array troubles_of(const Desk& desk) {
  using std::chrono::seconds;
  json::array list;
  const Instant now = desk.clock.now();
  for (const Troubles::Trouble& t : desk.troubles.all()) {
    const auto since = std::chrono::round<seconds>(now - t.lasting);
    list.push_back(json::object{{"of", json_text(t.of)},
                                {"what", json_text(t.what)},
                                {"since", detail::format_time(since)},
                                {"lasts_s", std::chrono::duration_cast<seconds>(t.lasting).count()}});
  }
  return list;
}

json::object outcomes_of(const OutcomeReader& reader) {
  const OutcomeReader::Figures f = reader.figures();
  return {{"log", json_text(f.log)},    {"lines", f.lines},         {"attempts", f.attempts},
          {"unknown", f.unknown},       {"outcomes", f.outcomes},   {"messages", f.messages},
          {"recipients", f.recipients}, {"forgotten", f.forgotten}, {"dropped", f.dropped},
          {"uncounted", f.uncounted},   {"untold", f.untold},       {"dead_addresses", f.dead}};
}

std::string lost_milter(const Desk& desk) {
  for (const Troubles::Trouble& t : desk.troubles.all()) {
    if (t.of.starts_with(kOfMilter)) return t.what;
  }
  return "";
}

json::object waits_of(const Desk& desk) {
  json::object waits;
  for (const Stage stage : kStages) {
    const Times latency = desk.times.at(stage);
    if (latency.count() == 0) continue;
    waits[to_string(stage)] = json::object{{"count", latency.count()},
                                           {"p50_us", microseconds(latency.quantile(0.5))},
                                           {"p99_us", microseconds(latency.quantile(0.99))}};
  }
  return waits;
}

}  // namespace

json::string json_text(std::string_view octets) { return json::string(detail::safe_text(octets)); }

std::string why_not_ready(const Desk& desk) {
  const PolicyKeeper::State policy = desk.keeper.state();
  if (desk.traffic.draining()) return "stopping";
  if (desk.traffic.closed()) return "draining: new sessions are turned away";
  if (desk.traffic.starving()) return "no more connections can be accepted";
  if (std::string lost = lost_milter(desk); !lost.empty()) return lost;
  if (policy.last_good) return "the last good policy serves: " + policy.trouble;
  if (const StoreHealth::State store = desk.health.state(); !store.trouble.empty()) {
    const bool lasts = store.lasting.count() > 0;
    return fmt::format("store: {}{}", store.trouble, lasts ? fmt::format(", for {} s", store.lasting.count()) : "");
  }
  return depends_on_outcomes(*desk.keeper.current().get()) ? lasting_outcome_trouble(desk.troubles) : "";
}

std::string trouble_of(const Desk& desk) {
  if (std::string why = why_not_ready(desk); !why.empty()) return why;
  if (const std::string why = desk.keeper.state().trouble; !why.empty()) {
    return "the last reload was rejected, and the previous policy stays in force: " + why;
  }
  if (const std::string why = desk.sinks.trouble(); !why.empty()) return "log: " + why;
  const auto standing = desk.troubles.all();
  return standing.empty() ? "" : standing.front().what;
}

json::object report_status(const Desk& desk) {
  const std::string trouble = trouble_of(desk);
  json::object status{{"version", REPLYGATE_VERSION},
                      {"pid", static_cast<std::int64_t>(::getpid())},
                      {"started", detail::format_time(desk.started)},
                      {"now", detail::format_time(desk.clock.now())},
                      {"trouble", json_text(trouble)},
                      {"troubles", troubles_of(desk)},
                      {"policy", policy_of(desk)},
                      {"milter", milter_of(desk)},
                      {"store", store_of(desk)},
                      {"log", log_of(desk)},
                      {"waits", waits_of(desk)}};
  if (desk.outcomes != nullptr) status["outcomes"] = outcomes_of(*desk.outcomes);
  if (desk.notifier != nullptr) status["notify"] = desk.notifier->report();
  return status;
}

json::array report_rules(const Desk& desk) {
  const auto policy = desk.keeper.current().get();
  const Statistics::Figures figures = desk.statistics.figures();
  json::array rules;
  const std::string* last = nullptr;
  for (const Rule& rule : policy->rules()) {
    if (last != nullptr && *last == rule.name) continue;
    last = &rule.name;
    const auto it = figures.rules.find(rule.name);
    const Statistics::RuleUse use = it == figures.rules.end() ? Statistics::RuleUse() : it->second;
    json::object row{{"rule", json_text(rule.name)},
                     {"place", json_text(rule.place.text())},
                     {"mode", to_string(rule.mode)},
                     {"hits", use.hits},
                     {"observed", use.observed},
                     {"warnings", use.warnings},
                     {"unknown", use.unknown},
                     {"fullest", Statistics::fullest(use, desk.clock.now())},
                     {"p99_us", microseconds(desk.times.p99(rule.name))}};
    if (use.last != Instant()) row["last"] = detail::format_time(use.last);
    rules.push_back(std::move(row));
  }
  return rules;
}

}  // namespace replygate

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/colors.h"
#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/past.h"
#include "milter/cli/progress.h"
#include "milter/cli/when.h"
#include "milter/files.h"
#include "milter/outcome/replay_report.h"
#include "policy/decide/outcomes.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

using ReplayedRule = ReplayReport::ByRule;
using ReplayedKey = std::pair<std::string, const ReplayReport::Key*>;

std::string time_text(Instant time) { return detail::format_time(time); }

std::string share_text(std::int64_t part, std::int64_t of) {
  // Never 100 % unless it is all of them.
  const double value = of == 0 ? 100.0 : static_cast<double>(part * 1000 / of) / 10;
  return fmt::format("{:.1f} %", value);
}

// The largest first.
std::vector<std::pair<std::string, const ReplayedRule*>> by_size(const ReplayReport::Change& change) {
  std::vector<std::pair<std::string, const ReplayedRule*>> rules;
  for (const auto& [name, rule] : change.rules) rules.emplace_back(name, &rule);
  std::ranges::stable_sort(rules, std::ranges::greater(), [](const auto& r) { return r.second->recipients; });
  return rules;
}

std::vector<ReplayedKey> by_size(const ReplayedRule& rule) {
  std::vector<ReplayedKey> keys;
  for (const auto& [name, key] : rule.keys) keys.emplace_back(name, &key);
  std::ranges::sort(keys, [](const ReplayedKey& a, const ReplayedKey& b) {
    if (a.second->recipients != b.second->recipients) return a.second->recipients > b.second->recipients;
    return a.first < b.first;
  });
  return keys;
}

std::string answer_text(const PastAnswer& answer) {
  return answer.code == 0 ? "let through" : std::to_string(answer.code);
}

void print_example(const ReplayReport::Example& e) {
  std::string why = e.now.code == 0 ? "now let through" : fmt::format("{} {}", e.now.code, e.text);
  if (!e.use.empty()) why += fmt::format("; used {}", e.use);
  fmt::print("          first {} from <{}>{}{}: {}, was {}{}{}\n", local_time(time_text(e.time)),
             without_controls(e.sender), e.recipient.empty() ? "" : " to ", without_controls(e.recipient),
             without_controls(why), answer_text(e.was), e.ref.empty() ? "" : "; replygate why ", e.ref);
}

void print_change(std::string_view title, const ReplayReport::Change& change, int most) {
  if (change.recipients == 0) return;
  fmt::print("\n{}  {} recipients\n", title, change.recipients);
  for (const auto& [name, rule] : by_size(change)) {
    fmt::print("  {:>6}  {}{}\n", rule->recipients, name.empty() ? "(no rule)" : name,
               rule->place.empty() ? "" : fmt::format(" ({})", rule->place));
    const auto keys = by_size(*rule);
    for (std::size_t i = 0; i < keys.size() && i < static_cast<std::size_t>(most); ++i) {
      fmt::print("    {:>6}  {}\n", keys[i].second->recipients, without_controls(keys[i].first));
      print_example(keys[i].second->first);
    }
    if (keys.size() > static_cast<std::size_t>(most)) {
      fmt::print("            and {} keys more\n", keys.size() - static_cast<std::size_t>(most));
    }
  }
}

json::object json_of(const ReplayReport::Example& e) {
  return {{"time", time_text(e.time)},
          {"ref", e.ref},
          {"sender", e.sender},
          {"recipient", e.recipient},
          {"was", e.was.code},
          {"was_rule", e.was.rule},
          {"now", e.now.code},
          {"now_rule", e.now.rule},
          {"text", e.text},
          {"used", e.use}};
}

json::object json_of(const ReplayReport::Change& change, int most) {
  json::array rules;
  for (const auto& [name, rule] : by_size(change)) {
    json::array keys;
    for (const auto& [key, what] : by_size(*rule)) {
      if (keys.size() >= static_cast<std::size_t>(most)) break;
      keys.push_back(json::object{{"key", key}, {"recipients", what->recipients}, {"first", json_of(what->first)}});
    }
    rules.push_back(
        json::object{{"rule", name},
                     {"place", rule->place},
                     {"recipients", rule->recipients},
                     {"keys", std::move(keys)},
                     {"other_keys", static_cast<std::int64_t>(rule->keys.size()) -
                                        std::min<std::int64_t>(most, static_cast<std::int64_t>(rule->keys.size()))}});
  }
  return {{"recipients", change.recipients}, {"rules", std::move(rules)}};
}

void print_head(const ReplayReport& report, const PastFigures& figures, bool logs) {
  fmt::print("played   {} messages{}\n", figures.transactions,
             report.first == Instant() ? ""
                                       : fmt::format(", compared from {} to {}", local_time(time_text(report.first)),
                                                     local_time(time_text(report.last))));
  if (logs) {
    const MailTrail::Figures& trail = figures.log.trail;
    fmt::print("read     {} lines, {} attempts to deliver, {} of them of unknown mail\n", figures.log.lines,
               trail.attempts, trail.orphans);
  }
  fmt::print("same     {} of {} recipients, {}\n", report.same, report.recipients - report.left,
             share_text(report.same, report.recipients - report.left));
  if (figures.outcomes > 0) fmt::print("outcomes {}, counted at their times\n", figures.outcomes);
  if (report.warming > 0) fmt::print("before   {} recipients, to fill counters\n", report.warming);
  if (report.left > 0)
    fmt::print("left     {} recipients as they were: what answered cannot be judged from here\n", report.left);
  if (figures.left_out > 0) fmt::print("left out {} records that are not of the milter\n", figures.left_out);
}

void print_unjudged(const std::vector<Unjudged>& unjudged) {
  if (unjudged.empty()) return;
  fmt::print("\nnot judged from here\n");
  for (const Unjudged& u : unjudged) fmt::print("  {} ({}): {}\n", u.rule->name, u.rule->place.text(), u.why);
}

void print_report(const ReplayReport& report, const PastFigures& figures, const std::vector<Unjudged>& unjudged,
                  const ReplayOptions& o) {
  print_head(report, figures, !o.files.empty());
  print_change("newly refused", report.refused, o.count);
  print_change("newly accepted", report.accepted, o.count);
  print_change("another reply", report.other, o.count);
  print_change("observed, and let through", report.observed, o.count);
  print_unjudged(unjudged);
}

void print_replay_json(const ReplayReport& report, const PastFigures& figures, const std::vector<Unjudged>& unjudged,
                       const ReplayOptions& o) {
  json::array rules;
  for (const Unjudged& u : unjudged) {
    rules.push_back(json::object{{"rule", u.rule->name}, {"place", u.rule->place.text()}, {"why", u.why}});
  }
  fmt::print("{}", line_of(json::object{{"messages", figures.transactions},
                                        {"recipients", report.recipients},
                                        {"same", report.same},
                                        {"left", report.left},
                                        {"before", report.warming},
                                        {"left_out", figures.left_out},
                                        {"lines", figures.log.lines},
                                        {"outcomes", figures.outcomes},
                                        {"newly_refused", json_of(report.refused, o.count)},
                                        {"newly_accepted", json_of(report.accepted, o.count)},
                                        {"another_reply", json_of(report.other, o.count)},
                                        {"observed", json_of(report.observed, o.count)},
                                        {"not_judged", std::move(rules)}}));
}

std::vector<std::string> names_of(const std::vector<Unjudged>& unjudged) {
  std::vector<std::string> names;
  for (const Unjudged& u : unjudged) names.push_back(u.rule->name);
  return names;
}

int status_of_replay(const ReplayReport& report, const ReplayOptions& o) {
  const bool too_old = report.recipients == 0 && report.warming > 0;
  if (too_old || (o.max_new_refusals && report.recipients == report.left)) {
    fmt::print(stderr, "replygate replay: nothing was compared{}\n",
               too_old           ? ": all mail in it is older than --since"
               : report.left > 0 ? ": what answered cannot be judged from here"
                                 : "");
    return kNoInput;
  }
  if (!o.max_new_refusals) return kFine;
  if (report.refused.recipients <= *o.max_new_refusals) return kFine;
  fmt::print(stderr, "replygate replay: {} recipients would newly be refused, more than {}\n",
             report.refused.recipients, *o.max_new_refusals);
  return kFound;
}

}  // namespace

int replay_command(const ReplayOptions& options) {
  const auto since = since_of("replay", options.since);
  if (!since) return kUsage;
  const Loaded loaded = load_policy_file(options.file);
  if (!loaded.ok()) {
    print_diagnostics(loaded.diagnostics, loaded.sources);
    return status_of_failure(loaded.diagnostics);
  }
  const PastSource source = source_of(options, loaded.policy.get());
  const bool asks = asks_for_outcomes(*loaded.policy);
  const auto tells = asks ? tells_outcomes(source) : tl::expected<bool, std::string>(true);
  if (!tells) {
    fmt::print(stderr, "replygate replay: {}\n", tells.error());
    return kNoInput;
  }
  const Ignorance ignorance = ignorance_of(source, *tells);
  const auto unjudged = unjudged_rules(*loaded.policy, ignorance.beyond, ignorance.units, ignorance.source);
  ReplayReport report(*since);
  Replayer replayer(without(*loaded.policy, unjudged), ignorance.beyond, names_of(unjudged), report);
  Progress progress(options.files.empty() ? "records" : "lines");
  PastTaker taker{.transaction = [&](PastTransaction past) { replayer.play(std::move(past)); }};
  if (asks && *tells) taker.outcome = [&](PastOutcome outcome) { replayer.play(std::move(outcome)); };
  const auto figures = read_past(source, taker, [&](const LogProgress& so_far) { progress.tell(so_far); });
  replayer.finish();
  progress.clear();
  if (!figures) {
    fmt::print(stderr, "replygate replay: {}\n", figures.error());
    return kNoInput;
  }
  print_troubles(*figures);
  if (figures->transactions == 0) {
    fmt::print(stderr, "replygate replay: there is no mail in it that could be played\n");
    return kNoInput;
  }
  options.json ? print_replay_json(report, *figures, unjudged, options)
               : print_report(report, *figures, unjudged, options);
  return status_of_replay(report, options);
}

}  // namespace replygate

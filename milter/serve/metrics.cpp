#include "milter/serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/serve/notifier.h"
#include "milter/serve/outcome_statistics.h"
#include "milter/serve/report_status.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

constexpr std::array kBuckets = {0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0};
constexpr std::size_t kMostCauses = 20;

// UTF-8, as the format wants it: other octets and control characters are written \\xNN, so that two names stay two.
std::string label_value(std::string_view text) {
  std::string result;
  for (const char c : detail::safe_text(text)) {
    if (c == '\\' || c == '"') result += '\\';
    const auto octet = static_cast<unsigned char>(c);
    result += octet < ' ' || octet == 0x7f ? fmt::format("\\\\x{:02x}", octet) : std::string(1, c);
  }
  return result;
}

// Writes families, each with its help and type.
class Page {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP replygate_{} {}\n# TYPE replygate_{} {}\n", name, help, name, type);
  }

  void sample(const Labels& labels, double value, std::string_view suffix = "") {
    text_ += fmt::format("replygate_{}{}", name_, suffix);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      text_ += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", labels[i].first, label_value(labels[i].second));
    }
    text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
  }

  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, "gauge", help);
    sample({}, value);
  }
  void counter(std::string_view name, std::string_view help, std::int64_t value) {
    family(name, "counter", help);
    sample({}, static_cast<double>(value));
  }

  std::string take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string text_;
};

double seconds(Instant time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

void add_policy(Page& page, const Desk& desk) {
  const PolicyKeeper::State state = desk.keeper.state();
  const auto policy = desk.keeper.current().get();
  page.family("policy_info", "gauge", "The policy that serves; always 1.");
  page.sample({{"policy", policy->id()}}, 1);
  page.gauge("policy_since_timestamp_seconds", "Since when it serves.", seconds(state.since));
  page.gauge("policy_rules", "Rules of the policy.", static_cast<double>(policy->named_rules()));
  page.gauge("policy_last_good", "1: the file is invalid, and the last good policy serves.", state.last_good ? 1 : 0);
  page.family("policy_reloads_total", "counter", "Reloads, by result.");
  page.sample({{"result", "taken"}}, static_cast<double>(state.reloads));
  page.sample({{"result", "in_error"}}, static_cast<double>(state.failures));
}

void add_traffic(Page& page, const Desk& desk) {
  page.gauge("up", "1: new mail is judged as it should be, as /readyz says.", why_not_ready(desk).empty() ? 1 : 0);
  page.gauge("start_timestamp_seconds", "When the daemon was started.", seconds(desk.started));
  page.gauge("sessions", "Open sessions of the MTA.", desk.traffic.sessions());
  page.gauge("transactions", "Open transactions.", desk.traffic.transactions());
  page.counter("sessions_total", "Sessions since the start.", desk.traffic.sessions_since_start());
  page.gauge("draining", "1: new sessions are turned away.", desk.traffic.closed() || desk.traffic.draining() ? 1 : 0);
  page.counter("policy_service_closed_total", "Idle connections of the policy service that were closed for new ones.",
               desk.traffic.turned_away());
  page.family("troubles", "gauge", "What is wrong on this host just now, by what it concerns; status names it.");
  for (const auto& [of, count] : desk.troubles.counts()) page.sample({{"of", of}}, static_cast<double>(count));
  page.gauge("starving", "1: no more connections can be accepted.", desk.traffic.starving() ? 1 : 0);
}

void add_kinds(Page& page, const std::map<Statistics::Kind, std::int64_t>& kinds) {
  for (const auto& [kind, count] : kinds) {
    const auto& [rule, stage, code, classification] = kind;
    page.sample({{"rule", rule}, {"stage", stage}, {"code", std::to_string(code)}, {"class", classification}},
                static_cast<double>(count));
  }
}

void add_decisions(Page& page, const Desk& desk) {
  const Statistics::Figures f = desk.statistics.figures();
  page.family("messages_total", "counter", "Transactions, by outcome.");
  for (const auto& [outcome, count] : f.transactions) page.sample({{"outcome", outcome}}, static_cast<double>(count));
  page.family("recipients_total", "counter", "Recipients, by what became of them.");
  for (const auto& [result, count] : f.recipients) page.sample({{"result", result}}, static_cast<double>(count));
  page.family("refusals_total", "counter", "Refusals.");
  add_kinds(page, f.refusals);
  page.family("observed_total", "counter", "What would have been refused, in observe mode or of local submission.");
  add_kinds(page, f.observed);
  page.family("limit_warnings_total", "counter", "Keys that reached warn_at.");
  for (const auto& [rule, use] : f.rules) page.sample({{"rule", rule}}, static_cast<double>(use.warnings));
  page.family("rule_unknown_total", "counter", "Times that a rule could not be judged.");
  for (const auto& [rule, use] : f.rules) page.sample({{"rule", rule}}, static_cast<double>(use.unknown));
  page.family("limit_fullest_ratio", "gauge", "The fullest limit of the last minutes; 1 is full.");
  const Instant now = desk.clock.now();
  for (const auto& [rule, use] : f.rules) page.sample({{"rule", rule}}, Statistics::fullest(use, now));
  page.counter("evictions_total", "Counters forgotten before their time: the store was full.", f.evictions);
}

void add_outcome_figures(Page& page, const Desk& desk) {
  if (desk.outcomes == nullptr) return;
  page.family("outcomes_total", "counter", "What became of recipients of accepted mail.");
  for (const auto& [kind, count] : desk.outcome_statistics->figures()) {
    const auto& [outcome, reason, classification, provider] = kind;
    page.sample({{"outcome", outcome}, {"reason", reason}, {"class", classification}, {"provider", provider}},
                static_cast<double>(count));
  }
}

void add_waits(Page& page, const Desk& desk) {
  page.family("decision_seconds", "histogram", "How long the MTA waited for an answer.");
  for (const Stage stage : kStages) {
    const Times latency = desk.times.at(stage);
    const std::string name(to_string(stage));
    std::int64_t before = 0;
    for (const double le : kBuckets) {
      before = latency.below(std::chrono::nanoseconds(static_cast<std::int64_t>(le * 1e9)));
      page.sample({{"stage", name}, {"le", fmt::format("{}", le)}}, static_cast<double>(before), "_bucket");
    }
    const std::int64_t all = std::max(latency.count(), before);
    page.sample({{"stage", name}, {"le", "+Inf"}}, static_cast<double>(all), "_bucket");
    page.sample({{"stage", name}}, std::chrono::duration<double>(latency.sum()).count(), "_sum");
    page.sample({{"stage", name}}, static_cast<double>(all), "_count");
  }
}

void add_store(Page& page, const Desk& desk) {
  const StoreHealth::State health = desk.health.state();
  page.gauge("store_up", "1: the store does all that it should.", health.trouble.empty() ? 1 : 0);
  page.family("store_failures_total", "counter", "What went wrong with the store, by cause.");
  std::size_t causes = 0;
  std::int64_t others = 0;
  for (const auto& [cause, count] : health.failures) {
    if (++causes <= kMostCauses) {
      page.sample({{"cause", cause}}, static_cast<double>(count));
    } else {
      others += count;
    }
  }
  if (others > 0) page.sample({{"cause", "(other)"}}, static_cast<double>(others));
}

void add_log(Page& page, const Desk& desk) {
  page.family("log_dropped_total", "counter", "Records that a place of the log was too slow for.");
  for (const auto& place : desk.sinks.places()) {
    page.sample({{"place", place->name()}}, static_cast<double>(place->dropped()));
  }
  page.sample({{"place", "records"}}, static_cast<double>(desk.recorder.dropped()));
  if (desk.history != nullptr) page.sample({{"place", "history"}}, static_cast<double>(desk.history->dropped()));
  if (desk.notifier == nullptr) return;
  const Notifier::Figures notes = desk.notifier->figures();
  page.family("notifications_total", "counter", "Notifications, by what became of them.");
  page.sample({{"result", "sent"}}, static_cast<double>(notes.sent));
  page.sample({{"result", "failed"}}, static_cast<double>(notes.failed));
  page.sample({{"result", "left_out"}}, static_cast<double>(notes.left_out));
}

}  // namespace

std::string metrics_text(const Desk& desk) {
  desk.recorder.catch_up();
  Page page;
  add_traffic(page, desk);
  add_policy(page, desk);
  add_decisions(page, desk);
  add_outcome_figures(page, desk);
  add_waits(page, desk);
  add_store(page, desk);
  add_log(page, desk);
  return page.take();
}

}  // namespace replygate

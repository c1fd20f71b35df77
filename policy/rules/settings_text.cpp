#include "policy/rules/policy_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

std::string mailbox_text(const MailboxSource& mailbox) {
  if (mailbox.none()) return "";
  return fmt::format("mailbox    {}, timeout {}\n",
                     mailbox.source ? mailbox.source->text() : fmt::format("quota_status {}", mailbox.quota_status),
                     format_duration(mailbox.timeout));
}

std::string store_text(const StoreSettings& store) {
  using Backend = StoreSettings::Backend;
  std::string text = "store      ";
  if (store.backend == Backend::memory) text += "memory, ";
  if (store.backend == Backend::sqlite) {
    text += fmt::format("sqlite {}, durability {}, if_unusable {}, ", store.path,
                        store.durability == StoreSettings::Durability::commit ? "commit" : "window",
                        store.if_unusable == StoreSettings::Unusable::memory ? "memory" : "stop");
  }
  if (store.backend == Backend::redis) {
    text += fmt::format("redis {}, tls {}, prefix {}, timeout {}, connections {}, wait_replicas {}, ",
                        fmt::join(store.servers, ", "), store.tls, store.prefix, format_duration(store.timeout),
                        store.connections, store.wait_replicas);
    if (store.hosts > 0) text += fmt::format("hosts {}, ", store.hosts);
  }
  return text + fmt::format("max_keys {}, reservation_timeout {}\n", store.max_keys,
                            format_duration(store.reservation_timeout));
}

std::string services_text(const Settings& settings) {
  const HistorySettings& history = settings.history;
  const NotifySettings& notify = settings.notify;
  std::string text = fmt::format("control    listen {}\n", settings.control.empty() ? "(default)" : settings.control);
  if (!settings.metrics.empty()) text += fmt::format("metrics    listen {}\n", settings.metrics);
  text +=
      fmt::format("history    path {}, keep {}, max_records {}\n", history.path.empty() ? "(default)" : history.path,
                  format_duration(history.keep), history.records);
  if (const OutcomeSettings& outcomes = settings.outcomes; !outcomes.log.empty()) {
    text += fmt::format(
        "outcomes   log {}, path {}, keep {}, max_recipients {}, dead_after {}, dead_within {}, dead_for {}\n",
        outcomes.log, outcomes.path.empty() ? "(default)" : outcomes.path, format_duration(outcomes.keep),
        outcomes.recipients, outcomes.dead_after, format_duration(outcomes.dead_within),
        format_duration(outcomes.dead_for));
  }
  if (notify.nobody()) return text;
  std::vector<std::string_view> events;
  for (const NotifySettings::Event event : notify.on) events.push_back(to_string(event));
  text += fmt::format("notify     on {}, pause {}, most_per_hour {}", fmt::join(events, ", "),
                      format_duration(notify.pause), notify.most_per_hour);
  if (!notify.to.empty()) text += fmt::format(", to {} by {}", fmt::join(notify.to, ", "), notify.smtp);
  if (!notify.webhook.empty()) text += fmt::format(", webhook {}", notify.webhook);
  text += '\n';
  const NotifySettings::Users& users = notify.users;
  if (users.to.empty()) return text;
  events.clear();
  for (const NotifySettings::Event event : users.on) events.push_back(to_string(event));
  return text + fmt::format("users      to {} by {}, on {}, pause {}\n", fmt::join(users.to, ", "), notify.smtp,
                            fmt::join(events, ", "), format_duration(users.pause));
}

std::string report_settings_text(const ReportSettings& report, const std::string& smtp) {
  if (report.to.empty()) return "";
  return fmt::format("report     to {} by {}, every {}, at {:02}:{:02}\n", fmt::join(report.to, ", "), smtp,
                     to_string(report.every), report.at / 60, report.at % 60);
}

std::string bounds_text(const Settings& settings) {
  const DoorBounds& b = settings.bounds;
  std::string text =
      fmt::format("bounds     idle_timeout {}, drain_timeout {}", format_duration(b.idle), format_duration(b.drain));
  if (settings.engine == Engine::asio) {
    text += fmt::format(", packet_timeout {}, max_connections {}, max_packet {}, max_session_memory {}, threads {}",
                        format_duration(b.packet_time), b.connections, format_size(b.packet),
                        format_size(b.session_memory), b.threads == 0 ? "by cores" : std::to_string(b.threads));
  }
  return text + "\n";
}

}  // namespace

std::string_view to_string(ReportSettings::Every every) { return every == ReportSettings::Every::day ? "day" : "week"; }

std::string_view to_string(NotifySettings::Event event) {
  constexpr std::array<std::string_view, 7> words = {"warning", "first-refusal", "held",   "eviction",
                                                     "store",   "bounces",       "blocked"};
  return words[static_cast<std::size_t>(event)];
}

std::string_view to_string(Engine engine) { return engine == Engine::asio ? "asio" : "libmilter"; }
std::string settings_text(const Settings& settings, const Site& site) {
  std::string text =
      fmt::format("milter     listen {}, engine {}, on_error {}\n", fmt::join(settings.listen, ", "),
                  to_string(settings.engine), settings.on_error == OnError::tempfail ? "tempfail" : "accept");
  text += bounds_text(settings);
  if (!settings.policy_service.empty()) text += fmt::format("policy_service listen {}\n", settings.policy_service);
  text += fmt::format("log        {} to {}\n", settings.log_format == LogFormat::json ? "json" : "logfmt",
                      fmt::join(settings.log_sinks, ", "));
  text += fmt::format(
      "keys       ipv4_prefix {}, ipv6_prefix {}, subaddress \"{}\", normalize [{}], login_domain \"{}\", timezone "
      "{}\n",
      site.ipv4_prefix, site.ipv6_prefix, site.subaddress, fmt::join(names_of(site.normalize), ", "), site.login_domain,
      site.zone.name());
  text += fmt::format("site       default domain {}, relay {}\n", site.default_domain,
                      site.relay_by_mta ? "mta" : "policy");
  text += store_text(settings.store);
  text += mailbox_text(settings.mailbox);
  text += services_text(settings);
  text += report_settings_text(settings.report, settings.notify.smtp);
  return text;
}

}  // namespace replygate

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "milter/import/importer.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using import::RuleText;

// Settings of the daemon itself, which have no counterpart to look for.
constexpr std::array<std::string_view, 20> kOfTheDaemon = {"debug",
                                                           "user",
                                                           "group",
                                                           "pidfile",
                                                           "sqlite_database",
                                                           "mysql_config",
                                                           "pgsql_config",
                                                           "backend",
                                                           "SOCKET",
                                                           "socket_permission",
                                                           "clean_expire",
                                                           "report",
                                                           "report_from",
                                                           "report_to",
                                                           "report_subject",
                                                           "report_limits",
                                                           "report_only_if_needed",
                                                           "smtp_server",
                                                           "smtp_starttls",
                                                           "smtp_credentials"};

std::string limit_text(const YAML::Node& pair, bool messages) {
  const auto seconds = std::chrono::seconds(pair[1].as<std::int64_t>());
  return fmt::format("{} {} / {}", pair[0].as<std::int64_t>(), messages ? "messages" : "recipients",
                     format_duration(seconds));
}

std::vector<std::string> limits_of(const YAML::Node& list, bool messages) {
  std::vector<std::string> limits;
  for (const YAML::Node& pair : list) limits.push_back(limit_text(pair, messages));
  return limits;
}

class RateLimit {
 public:
  explicit RateLimit(const YAML::Node& root) : root_(root), messages_(flag("count_mode", false)) {}

  Imported import() {
    result_.policy = import::head("policyd-rate-limit");
    const YAML::Node limits = root_["limits"];
    if (!limits || limits.size() == 0) {
      lose("limits: none");
    } else {
      if (flag("limit_by_sasl", true)) rule("limit-by-sasl", "user", "{ authenticated = true }", "");
      if (flag("limit_by_sender", false)) rule("limit-by-sender", "sender", "", unless_logged_in());
      if (flag("limit_by_ip", false)) rule("limit-by-ip", "client_ip", networks(), unless_logged_in());
    }
    for (const auto& item : root_) note_unknown(item.first.as<std::string>());
    result_.policy += import::comments(result_.lost);
    return std::move(result_);
  }

 private:
  void lose(std::string what) { result_.lost.push_back(std::move(what)); }

  bool flag(const char* key, bool standard) const {
    const YAML::Node node = root_[key];
    if (!node || !node.IsScalar()) return standard;
    const auto text = node.as<std::string>();
    return text == "1" || equal_ignoring_case(text, "true") || equal_ignoring_case(text, "yes");
  }

  std::string unless_logged_in() const { return flag("limit_by_sasl", true) ? "{ authenticated = true }" : ""; }

  std::string networks() {
    std::vector<std::string> all;
    for (const YAML::Node& node : root_["limited_networks"]) {
      const auto network = IpNetwork::parse(node.as<std::string>());
      network ? all.push_back(network->text()) : lose(fmt::format("limited_networks: {}", node.as<std::string>()));
    }
    return all.empty() ? "" : fmt::format("{{ client_ip = {} }}", RuleText::quoted_list(all));
  }

  void rule(std::string_view name, std::string_view per, const std::string& when, const std::string& unless) {
    RuleText rule(name);
    if (!when.empty()) rule.add("when", when);
    if (!unless.empty()) rule.add("unless", unless);
    rule.add("per", RuleText::quoted(per));
    rule.add("limit", RuleText::quoted_list(limits_of(root_["limits"], messages_)));
    rule.add("reply", reply());
    const std::string text = rule.text();
    if (const std::string why = import::problem_of(text); !why.empty()) return lose(fmt::format("{}: {}", name, why));
    result_.policy += text;
    overrides(text, per == "client_ip");
  }

  std::string reply() {
    const YAML::Node action = root_["fail_action"];
    std::string reply = action ? import::reply_of(action.as<std::string>()) : "";
    return reply.empty() ? "\"rate-limited\"" : reply;
  }

  using Lines = std::vector<std::pair<std::string, std::string>>;  // by id

  // Of the keys that a rule can have: addresses of clients, or logins and senders.
  void overrides(const std::string& rule, bool addresses) {
    const YAML::Node by_id = root_["limits_by_id"];
    if (!by_id) return;
    Lines lines;
    for (const auto& item : by_id) {
      const auto id = item.first.as<std::string>();
      if (IpAddress::parse(id).has_value() != addresses) continue;
      const auto limits = limits_of(item.second, messages_);
      lines.emplace_back(id, fmt::format("{} = {}\n", RuleText::quoted(id),
                                         limits.empty() ? "\"unlimited\"" : RuleText::quoted_list(limits)));
    }
    const std::string head = rule + "[rule.override]\n";
    std::string table = joined(lines);
    if (!import::problem_of(head + table).empty()) table = joined(sound(head, lines));
    const std::string why = table.empty() ? "" : import::problem_of(head + table);  // of lines that do not go together
    if (!why.empty()) return lose(fmt::format("limits_by_id: {}", why));
    if (!table.empty()) result_.policy += "[rule.override]\n" + table;
  }

  static std::string joined(const Lines& lines) {
    std::string text;
    for (const auto& [id, line] : lines) text += line;
    return text;
  }

  Lines sound(const std::string& head, const Lines& lines) {
    Lines kept;
    for (const auto& [id, line] : lines) {
      const std::string why = import::problem_of(head + line);
      why.empty() ? void(kept.emplace_back(id, line)) : lose(fmt::format("limits_by_id {}: {}", id, why));
    }
    return kept;
  }

  void note_unknown(const std::string& key) {
    constexpr std::array<std::string_view, 9> known = {"limits",          "limits_by_id", "limit_by_sasl",
                                                       "limit_by_sender", "limit_by_ip",  "limited_networks",
                                                       "fail_action",     "count_mode",   "success_action"};
    const bool used = std::ranges::find(known, key) != known.end();
    const bool of_daemon = std::ranges::find(kOfTheDaemon, key) != kOfTheDaemon.end();
    if (!used && !of_daemon) lose(key);
  }

  const YAML::Node& root_;
  bool messages_;
  Imported result_;
};

}  // namespace

Imported import_policyd_rate_limit(const std::string& text) try {
  const YAML::Node root = YAML::Load(import::cleaned(text));
  if (!root.IsMap()) return {.policy = "", .lost = {"this is no configuration of policyd-rate-limit"}};
  return RateLimit(root).import();
} catch (const YAML::Exception& error) {
  return {.policy = "", .lost = {fmt::format("line {}: {}", error.mark.line + 1, error.msg)}};
}

}  // namespace replygate

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <map>

#include "milter/import/action.h"
#include "milter/import/pattern.h"
#include "milter/import/writer.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::rate_limit {
namespace {

// Settings that decide nothing about mail.
constexpr std::array<std::string_view, 21> kHousekeeping = {"debug",
                                                            "user",
                                                            "group",
                                                            "pidfile",
                                                            "sqlite_database",
                                                            "sqlite_config",
                                                            "mysql_config",
                                                            "pgsql_config",
                                                            "backend",
                                                            "SOCKET",
                                                            "socket_permission",
                                                            "clean_expire",
                                                            "delay_to_close",
                                                            "config_file",
                                                            "database_is_initialized",
                                                            "report_subject",
                                                            "report_limits",
                                                            "report_only_if_needed",
                                                            "report_from",
                                                            "report_to",
                                                            "smtp_server"};
constexpr std::array<std::string_view, 12> kUsed = {
    "limits",          "limits_by_id", "limit_by_sasl",  "limit_by_sender", "limit_by_ip", "limited_networks",
    "limited_netword", "fail_action",  "success_action", "db_error_action", "count_mode",  "report"};

struct Pair {
  std::int64_t most = 0;
  std::int64_t seconds = 0;
};
using Pairs = std::vector<Pair>;

Pairs pairs_of(const YAML::Node& list) {
  Pairs pairs;
  // Nobody waits for the end of more than ten years.
  for (const YAML::Node& pair : list) {
    pairs.push_back({pair[0].as<std::int64_t>(), std::min(pair[1].as<std::int64_t>(), kLongestPeriod)});
  }
  return pairs;
}

// What one id is: the rules for its kinds exclude each other.
struct Key {
  std::string_view name;
  std::string_view fact;
  std::vector<std::pair<std::string, std::string>> when;
};

class RateLimit {
 public:
  RateLimit(const YAML::Node& root, const ImportSource& source) : root_(root), writer_("policyd-rate-limit", source) {}

  Imported import() {
    read_counting();
    for (const auto& item : root_) note_unknown(item.first.as<std::string>());
    action_ = action_of(text("fail_action", "defer_if_permit Rate limit reach, retry later"));
    read_ids();
    const std::string why = unusable();
    if (!why.empty()) {
      writer_.lose("", "limits", why);
    } else {
      for (const Key& key : keys()) write(key);
    }
    write_notify();
    return writer_.finish();
  }

 private:
  bool flag(const char* key, bool standard) const {
    const YAML::Node node = root_[key];
    if (!node) return standard;
    if (!node.IsScalar()) return node.size() > 0;
    constexpr std::array<std::string_view, 8> kNo = {"0", "false", "no", "off", "n", "null", "~", ""};
    const auto said = node.as<std::string>();
    return std::ranges::none_of(kNo, [&](std::string_view no) { return equal_ignoring_case(no, said); });
  }

  std::string text(const char* key, std::string_view standard) const {
    const YAML::Node node = root_[key];
    return node && node.IsScalar() ? node.as<std::string>() : std::string(standard);
  }

  // What is counted, and when.
  void read_counting() {
    const std::string mode = text("count_mode", "0");
    if (mode == "1") {
      at_ = "data";
    } else if (mode == "2") {
      unit_ = "messages";
      at_ = "data";
    } else if (mode != "0") {
      writer_.lose("", "count_mode: " + mode, "it is 0, 1 or 2");
    }
  }

  void read_ids() {
    const YAML::Node limits = root_["limits"];
    limits_ = limits ? pairs_of(limits) : Pairs{{10, 60}, {150, 86400}};
    for (const auto& item : root_["limits_by_id"]) ids_[item.first.as<std::string>()] = pairs_of(item.second);
  }

  static bool passes(const Action& action) {
    return action.kind == Action::Kind::none || action.kind == Action::Kind::permit;
  }

  std::string unusable() const {
    if (!passes(action_of(text("success_action", "dunno")))) return "success_action does not let mail pass";
    if (passes(action_)) return "fail_action lets mail pass";
    if (outcome().first.empty()) return "replygate has no action as fail_action is";
    return "";
  }

  std::pair<std::string, std::string> outcome() const {
    switch (action_.kind) {
      case Action::Kind::refuse: return {"reply", reply_of(action_)};
      case Action::Kind::hold: return {"hold", hold_of(action_, "rate limit")};
      case Action::Kind::discard: return {"discard", "true"};
      default: return {};
    }
  }

  // One id a mail: the login, else the sender, else the address.
  std::vector<Key> keys() {
    std::vector<Key> all;
    const bool by_sasl = flag("limit_by_sasl", true);
    const bool by_sender = flag("limit_by_sender", false);
    if (by_sasl && by_sender) {
      writer_.lose(
          "", "limit_by_sasl with limit_by_sender",
          "a login and a sender without login that are the same address shared a count; here each has its own");
    }
    std::vector<std::pair<std::string, std::string>> rest;
    if (by_sasl) {
      all.push_back({"limit-by-sasl", "user", {{"authenticated", "true"}}});
      rest.emplace_back("authenticated", "false");
    }
    if (by_sender) {
      all.push_back({"limit-by-sender", "sender", rest});
      all.back().when.emplace_back("null_sender", "false");
      rest.emplace_back("null_sender", "true");
    }
    if (!flag("limit_by_ip", false)) return all;
    const std::string networks = limited_networks();
    if (networks.empty()) return all;
    rest.emplace_back("client_ip", networks);
    all.push_back({"limit-by-ip", "client_ip", rest});
    return all;
  }

  // "": nobody.
  std::string limited_networks() {
    std::vector<std::string> all;
    const YAML::Node list = root_["limited_netword"] ? root_["limited_netword"] : root_["limited_networks"];
    for (const YAML::Node& node : list) {
      const auto network = IpNetwork::parse(node.as<std::string>());
      if (network && !network->has_host_bits()) {
        all.push_back(network->text());
      } else {
        writer_.lose("", fmt::format("limited_networks: {}", node.as<std::string>()), "it is no network");
      }
    }
    return all.empty() ? "" : toml_list(all);
  }

  std::string limits_text(const Pairs& pairs) const {
    std::vector<std::string> all;
    for (const Pair& pair : pairs) {
      all.push_back(fmt::format("{} {} / {}", pair.most, unit_, format_duration(std::chrono::seconds(pair.seconds))));
    }
    return toml_list(all);
  }

  static bool closed(const Pairs& pairs) {
    return std::ranges::any_of(pairs, [](const Pair& p) { return p.most <= 0; });
  }

  RuleText begin(const Key& key) const {
    RuleText rule;
    for (const auto& [fact, value] : key.when) rule.when(fact, value);
    return rule;
  }

  void finish(RuleText& rule, const Key& key, const Pairs& limits) const {
    if (!limits.empty() && !closed(limits)) {
      rule.add("per", toml_string(key.fact));
      rule.add("limit", limits_text(limits));
      rule.add("count", "\"admitted\"");
      const bool open = passes(action_of(text("db_error_action", "dunno")));
      rule.add("on_store_error", open ? "\"accept\"" : "\"tempfail\"");
    }
    rule.add("at", toml_string(at_));
    const auto [what, value] = outcome();
    rule.add(what, value);
  }

  // Whether an id can be a key of the rule, and can be written as one.
  static bool fits(const Key& key, const std::string& id) {
    const bool address = IpAddress::parse(id).has_value();
    if (key.fact == "client_ip") return address;
    return !address && (key.fact == "user" || id.find('@') != std::string::npos);
  }

  // Ids with limits of 0, or with limits where others have none, have rules of their own, before the others.
  void write(const Key& key) {
    std::vector<std::pair<std::string, Pairs>> overrides;
    std::vector<std::string> apart;
    for (const auto& [id, pairs] : ids_) {
      if (!fits(key, id)) continue;
      const bool alone = closed(pairs) || limits_.empty() || closed(limits_);
      if (!alone) {
        overrides.emplace_back(id, pairs);
      } else if (write_alone(key, id, pairs)) {
        apart.push_back(id);
      }
    }
    if (limits_.empty()) return;
    RuleText rule = begin(key);
    if (!apart.empty()) rule.unless(key.fact, apart);
    finish(rule, key, limits_);
    for (const auto& [id, pairs] : overrides) add_override(rule, id, pairs);
    if (const std::string why = writer_.rule(key.name, rule); !why.empty()) writer_.lose("", key.name, why);
  }

  bool write_alone(const Key& key, const std::string& id, const Pairs& pairs) {
    if (pairs.empty()) return true;
    RuleText rule = begin(key);
    rule.when(key.fact, toml_string(id));
    finish(rule, key, pairs);
    const bool plain = key.fact == "client_ip" || exact_pattern(id, Text::login) == id;
    const std::string why = plain ? writer_.rule(id, rule) : "it would be a pattern";
    if (!why.empty()) writer_.lose("", "limits_by_id: " + id, why);
    return why.empty();
  }

  // One that is no key of ours would take the whole rule with it.
  void add_override(RuleText& rule, const std::string& id, const Pairs& pairs) {
    const std::string line =
        fmt::format("{} = {}\n", toml_string(id), pairs.empty() ? "\"unlimited\"" : limits_text(pairs));
    const std::string head = rule.ends() ? "[rule.override]\n" : "";
    RuleText with = rule;
    with.behind(head + line);
    const bool plain = IpAddress::parse(id) || exact_pattern(id, Text::login) == id;
    const std::string why = plain ? problem_of(with.text("r")) : "it would be a pattern";
    if (!why.empty()) return writer_.lose("", "limits_by_id: " + id, why);
    rule.behind(head + line);
  }

  void note_unknown(const std::string& key) {
    if (std::ranges::find(kUsed, key) != kUsed.end()) return;
    if (std::ranges::find(kHousekeeping, key) != kHousekeeping.end()) return;
    const bool for_reports = key == "smtp_starttls" || key == "smtp_credentials";
    if (for_reports && (!flag("report", false) || !flag(key.c_str(), false))) return;
    writer_.lose("", key, for_reports ? "[notify] sends without it" : "policyd-rate-limit has no such setting");
  }

  std::vector<std::string> addresses(const char* key) const {
    std::vector<std::string> all;
    const YAML::Node node = root_[key];
    if (node && node.IsScalar() && !node.IsNull()) all.push_back(node.as<std::string>());
    if (node && node.IsSequence()) {
      for (const YAML::Node& one : node) all.push_back(one.as<std::string>());
    }
    return all;
  }

  // Their report is a daily table; ours is a note a key.
  void write_notify() {
    const auto to = addresses("report_to");
    if (!flag("report", false) || to.empty()) return;
    std::string section = fmt::format("\n[notify]\nto   = {}\n", toml_list(to));
    if (const auto from = addresses("report_from"); !from.empty())
      section += fmt::format("from = {}\n", toml_string(from[0]));
    if (const YAML::Node server = root_["smtp_server"]; server && server.IsSequence() && server.size() > 1) {
      section +=
          fmt::format("smtp = {}\n",
                      toml_string(fmt::format("inet:{}@{}", server[1].as<std::string>(), server[0].as<std::string>())));
    }
    section += "on   = [\"first-refusal\"]\n";
    if (const std::string why = problem_of(section); !why.empty()) return writer_.lose("", "report", why);
    writer_.verbatim(section);
  }

  const YAML::Node& root_;
  std::string unit_ = "recipients";
  std::string at_ = "rcpt";
  Action action_;
  Pairs limits_;
  std::map<std::string, Pairs> ids_;
  Writer writer_;
};

}  // namespace
}  // namespace import::rate_limit

Imported import_policyd_rate_limit(const std::string& text, const ImportSource& source) try {
  const YAML::Node root = YAML::Load(import::cleaned(text));
  if (!root.IsMap()) return {.policy = "", .lost = {"this is no configuration of policyd-rate-limit"}};
  return import::rate_limit::RateLimit(root, source).import();
} catch (const YAML::Exception& error) {
  return {.policy = "", .lost = {fmt::format("line {}: {}", error.mark.line + 1, error.msg)}};
}

}  // namespace replygate

#include "policy/policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

bool closes(const Rule& rule) {
  const auto* reply = std::get_if<ReplySpec>(&rule.outcome);
  return reply != nullptr && closes_connection(reply->code);
}

Needs needs_of(const std::vector<Rule>& rules) {
  Needs needs;
  for (const Rule& rule : rules) {
    const bool bytes = std::ranges::any_of(rule.limits, [](const Limit& l) { return l.unit == Unit::bytes; });
    needs.content |= bytes || rule.needs(Fact::size);
    needs.data |= rule.stage == Stage::data;
    needs.reply_at_connect |= rule.stage == Stage::connect && closes(rule);
    needs.reply_at_helo |= rule.stage == Stage::helo && closes(rule);
    needs.reply_at_mail |= rule.stage <= Stage::mail;
  }
  return needs;
}

FactSet facts_of(const Rule& rule) {
  FactSet set = 0;
  for (const Condition& c : rule.when) set |= bit(c.fact);
  for (const Condition& c : rule.unless) set |= bit(c.fact);
  for (const Fact fact : rule.per) set |= bit(fact);
  if (const auto* reply = std::get_if<ReplySpec>(&rule.outcome)) {
    for (const Fact fact : reply->text.facts()) set |= bit(fact);
  }
  return set;
}

std::vector<Rule> with_facts(std::vector<Rule> rules) {
  for (Rule& rule : rules) rule.facts = facts_of(rule);
  return rules;
}

std::string conditions_text(std::string_view word, const std::vector<Condition>& conditions) {
  std::string text;
  for (const Condition& c : conditions) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", info(c.fact).name, c.source);
  }
  return text.empty() ? "" : fmt::format("  {:<10} {{ {} }}\n", word, text);
}

std::string limits_text(const Limits& limits) {
  std::vector<std::string> texts;
  texts.reserve(limits.size());
  for (const Limit& limit : limits) texts.push_back('"' + limit.text() + '"');
  return texts.empty() ? "\"unlimited\"" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string limit_text(const Rule& rule) {
  if (!rule.has_limits()) return "";
  std::vector<std::string_view> per;
  for (const Fact fact : rule.per) per.push_back(info(fact).name);
  std::string text = fmt::format("  {:<10} {}\n  {:<10} {}\n  {:<10} {}\n", "per",
                                 per.empty() ? "(one counter for all)" : fmt::format("{}", fmt::join(per, " + ")),
                                 "limit", limits_text(rule.limits), "count", to_string(rule.count));
  const auto overrides = rule.overrides.exact.size() + rule.overrides.patterns.size();
  if (overrides > 0) text += fmt::format("  {:<10} {} keys or patterns\n", "override", overrides);
  return text;
}

std::string outcome_text(const Outcome& outcome) {
  if (std::holds_alternative<Accept>(outcome)) return fmt::format("  {:<10} true\n", "accept");
  const auto& reply = std::get<ReplySpec>(outcome);
  std::string text = reply.text.source();
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3) text.replace(at, 1, " / ");
  return fmt::format("  {:<10} {} {} \"{}\"  ({})\n", "reply", reply.code, reply.enhanced.text(), text,
                     reply.classification->slug);
}

std::string rule_text(const Rule& rule, std::size_t number) {
  return fmt::format("{}. {}  ({}, at {})\n", number, rule.name, rule.place.text(), to_string(rule.stage)) +
         conditions_text("when", rule.when) + conditions_text("unless", rule.unless) + limit_text(rule) +
         outcome_text(rule.outcome) +
         fmt::format("  {:<10} {}\n  {:<10} {}\n", "mode", to_string(rule.mode), "on_unknown",
                     to_string(rule.on_unknown));
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

std::string Place::text() const { return fmt::format("{}:{}", file, line); }

std::string_view to_string(Engine engine) { return engine == Engine::asio ? "asio" : "libmilter"; }
std::string_view to_string(Mode mode) { return mode == Mode::enforce ? "enforce" : "observe"; }
std::string_view to_string(OnUnknown on_unknown) { return on_unknown == OnUnknown::skip ? "skip" : "tempfail"; }
std::string_view to_string(Count count) { return count == Count::accepted ? "accepted" : "attempts"; }

const Limits* Overrides::find(std::string_view key) const {
  if (const auto it = exact.find(key); it != exact.end()) return &it->second;
  for (const auto& [set, limits] : patterns) {
    if (set->contains(key)) return &limits;
  }
  return nullptr;
}

bool Rule::names_recipient_facts() const {
  return std::ranges::any_of(fact_table(), [&](const FactInfo& row) {
    return row.stage == Stage::rcpt && row.fact != Fact::recipients && needs(row.fact);
  });
}

bool Site::knows_domains() const { return !local_domains->empty() || !relay_domains->empty(); }

Policy::Policy(Site site, Settings settings, std::vector<Rule> rules, std::string id)
    : site_(std::move(site)),
      settings_(std::move(settings)),
      rules_(with_facts(std::move(rules))),
      id_(std::move(id)),
      needs_(needs_of(rules_)) {
  for (const Rule& rule : rules_) by_stage_[static_cast<std::size_t>(rule.stage)].push_back(&rule);
}

std::size_t Policy::named_rules() const {
  std::size_t count = 0;
  for (const Rule& rule : rules_) {
    if (rule.index == 0 || rules_[rule.index - 1].name != rule.name) ++count;
  }
  return count;
}

std::string Policy::text() const {
  std::string text = fmt::format("policy {}: {} rules\n", id_, named_rules());
  text += fmt::format("milter     listen {}, engine {}, on_error {}\n", fmt::join(settings_.listen, ", "),
                      to_string(settings_.engine), settings_.on_error == OnError::tempfail ? "tempfail" : "accept");
  text += bounds_text(settings_);
  if (!settings_.policy_service.empty()) text += fmt::format("policy_service listen {}\n", settings_.policy_service);
  text += fmt::format("log        {} to {}\n", settings_.log_format == LogFormat::json ? "json" : "logfmt",
                      fmt::join(settings_.log_sinks, ", "));
  text += fmt::format("keys       ipv4_prefix {}, ipv6_prefix {}, subaddress \"{}\"\n", site_.ipv4_prefix,
                      site_.ipv6_prefix, site_.subaddress);
  text += fmt::format("site       default domain {}\n", site_.default_domain);
  std::size_t number = 0;
  for (const Rule& rule : rules_) {
    if (rule.index == 0 || rules_[rule.index - 1].name != rule.name) ++number;
    text += '\n' + rule_text(rule, number);
  }
  return text;
}

}  // namespace replygate

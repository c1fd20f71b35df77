#include "policy/rules/policy_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

std::string conditions_text(std::string_view word, const std::vector<Condition>& conditions) {
  std::string text;
  for (const Condition& c : conditions) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", c.fact.text(), c.source);
  }
  return text.empty() ? "" : fmt::format("  {:<10} {{ {} }}\n", word, text);
}

std::string limits_text(const Limits& limits) {
  std::vector<std::string> texts;
  texts.reserve(limits.size());
  for (const Limit& limit : limits) texts.push_back('"' + limit.text() + '"');
  return texts.empty() ? "\"unlimited\"" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string line(std::string_view word, std::string_view text) { return fmt::format("  {:<10} {}\n", word, text); }

std::string key_text(const Rule& rule) {
  std::vector<std::string> per;
  for (const FactRef& fact : rule.per) per.push_back(fact.text());
  return per.empty() ? "(one counter for all)" : fmt::format("{}", fmt::join(per, " + "));
}

std::string limit_text(const Rule& rule) {
  if (!rule.has_limits()) return rule.per.empty() ? "" : line("per", key_text(rule));
  std::string text = line("per", key_text(rule));
  if (rule.greylist) {
    const Greylisting& g = *rule.greylist;
    text += line("greylist", fmt::format("delay {}, retry_within {}, remember {}{}", format_duration(g.delay),
                                         format_duration(g.retry_within), format_duration(g.remember),
                                         g.after > 0 ? fmt::format(", known_after {}", g.after) : ""));
    if (!rule.pools.empty()) text += line("pools", fmt::format("{}", rule.pools.size()));
    return text;
  }
  text += line("limit", limits_text(rule.limits)) + line("count", to_string(rule.count));
  if (rule.outcomes_of == OutcomesOf::all) text += line("outcomes_of", to_string(rule.outcomes_of));
  const auto overrides = rule.overrides.exact.size() + rule.overrides.patterns.size() + rule.overrides.networks.size();
  if (overrides > 0)
    text += line("override", overrides == 1 ? "1 key or pattern" : fmt::format("{} keys or patterns", overrides));
  if (rule.overrides.live.source != nullptr) text += line("override", rule.overrides.live.source->text());
  if (rule.warn_at > 0) text += line("warn_at", fmt::format("{}%", rule.warn_at));
  return text;
}

std::string one_line(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 3) text.replace(at, 1, " / ");
  return text;
}

std::string reply_text(const ReplySpec& reply) {
  return fmt::format("{} {} \"{}\"  ({})", reply.code, reply.enhanced.text(), one_line(reply.text.source()),
                     reply.classification->slug);
}

std::string outcome_text(const Rule& rule) {
  std::string text;
  if (const auto* reply = std::get_if<ReplySpec>(&rule.outcome)) text = line("reply", reply_text(*reply));
  if (std::holds_alternative<Accept>(rule.outcome)) text = line("accept", "true");
  if (std::holds_alternative<Discard>(rule.outcome)) text = line("discard", "true");
  if (const auto* hold = std::get_if<Hold>(&rule.outcome)) text = line("hold", fmt::format("\"{}\"", hold->reason));
  for (const Escalation& step : rule.escalate) {
    text += line("escalate", fmt::format("after {}: {}", step.after.text(), reply_text(step.reply)));
  }
  for (const AddedHeader& h : rule.headers) text += line("header", fmt::format("{}: {}", h.name, h.value.source()));
  return text;
}

}  // namespace

std::string rule_text(const Rule& rule, std::size_t number) {
  return fmt::format("{}. {}  ({}, at {})\n", number, rule.name, rule.place.text(), to_string(rule.stage)) +
         conditions_text("when", rule.when) + conditions_text("unless", rule.unless) + limit_text(rule) +
         outcome_text(rule) + line("mode", to_string(rule.mode)) +
         (rule.share < Rule::kWhole ? line("share", fmt::format("{}.{:02}%", rule.share / 100, rule.share % 100))
                                    : "") +
         line("on_unknown", to_string(rule.on_unknown)) +
         (rule.has_limits() ? line("on_store_error", to_string(rule.on_store_error)) : "") +
         (rule.was.empty() ? "" : line("was", rule.was));
}

}  // namespace replygate

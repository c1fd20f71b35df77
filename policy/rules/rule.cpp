#include "policy/rules/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/rules/key_map.h"

namespace replygate {

std::string Place::text() const { return fmt::format("{}:{}", file, line); }

std::string_view to_string(Mode mode) { return mode == Mode::enforce ? "enforce" : "observe"; }
std::string_view to_string(OnUnknown on_unknown) { return on_unknown == OnUnknown::skip ? "skip" : "tempfail"; }
std::string_view to_string(OnStoreError on_store_error) {
  constexpr std::array<std::string_view, 3> words = {"tempfail", "accept", "local"};
  return words[static_cast<std::size_t>(on_store_error)];
}
std::string_view to_string(OutcomesOf outcomes_of) { return outcomes_of == OutcomesOf::sent ? "sent" : "all"; }

std::string_view to_string(Count count) {
  switch (count) {
    case Count::accepted: return "accepted";
    case Count::admitted: return "admitted";
    case Count::attempts: return "attempts";
  }
  return "";
}

const Limits* Overrides::find(std::string_view key) const {
  if (const auto it = exact.find(key); it != exact.end()) return &it->second;
  for (const auto& [set, limits] : patterns) {
    if (set->contains(key)) return &limits;
  }
  if (networks.empty()) return nullptr;
  const auto address = IpAddress::parse(key);
  for (const auto& [set, limits] : networks) {
    if (address && set->contains(*address)) return &limits;
  }
  return nullptr;
}

bool Rule::counts(Unit unit) const {
  const auto has = [&](const Limits& all) { return std::ranges::find(all, unit, &Limit::unit) != all.end(); };
  return has(limits) || std::ranges::any_of(overrides.exact, [&](const auto& own) { return has(own.second); }) ||
         std::ranges::any_of(overrides.patterns, [&](const auto& own) { return has(own.second); }) ||
         std::ranges::any_of(overrides.networks, [&](const auto& own) { return has(own.second); });
}

std::vector<FactRef> Rule::named_facts() const {
  std::vector<FactRef> named = per;
  for (const auto* conditions : {&when, &unless}) {
    for (const Condition& c : *conditions) named.push_back(c.fact);
  }
  const auto add = [&](const ReplyTemplate& text) {
    for (FactRef& ref : text.facts()) named.push_back(std::move(ref));
  };
  if (const auto* reply = std::get_if<ReplySpec>(&outcome)) add(reply->text);
  for (const Escalation& step : escalate) add(step.reply.text);
  for (const AddedHeader& header : headers) add(header.value);
  return named;
}

std::vector<LiveSourcePtr> Rule::live_sources() const {
  std::vector<LiveSourcePtr> sources;
  const auto add = [&](const LiveSourcePtr& source) {
    if (source != nullptr && std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
  };
  for (const auto* conditions : {&when, &unless}) {
    for (const Condition& c : *conditions) std::ranges::for_each(c.live, add);
  }
  for (const FactRef& fact : per) {
    for (const auto& map : fact.maps) add(map->live);
  }
  add(overrides.live.source);
  return sources;
}

bool Rule::names_recipient_facts() const {
  return std::ranges::any_of(fact_table(), [&](const FactInfo& row) {
    return row.stage == Stage::rcpt && row.fact != Fact::recipients && needs(row.fact);
  });
}

}  // namespace replygate

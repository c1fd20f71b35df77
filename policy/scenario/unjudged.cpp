#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "policy/scenario/replayer.h"

namespace replygate {
namespace {

std::vector<std::string> unknown_of(const Rule& rule, FactSet beyond, const std::vector<Unit>& units) {
  std::vector<std::string> unknown;
  for (const FactRef& ref : rule.named_facts()) {
    std::string text = ref.text();
    if ((beyond & bit(ref.fact)) != 0 && std::ranges::find(unknown, text) == unknown.end()) {
      unknown.push_back(std::move(text));
    }
  }
  for (const LiveSourcePtr& live : rule.live_sources()) {
    unknown.push_back(fmt::format("what the source \"{}\" said", live->name));
  }
  for (const Unit unit : units) {
    if (!rule.counts(unit)) continue;
    unknown.push_back(unit == Unit::connections ? "connections without mail"
                                                : fmt::format("the number of {}", to_string(unit)));
  }
  return unknown;
}

}  // namespace

std::vector<Unjudged> unjudged_rules(const Policy& policy, FactSet beyond, const std::vector<Unit>& units,
                                     std::string_view source) {
  std::vector<Unjudged> found;
  for (const Rule& rule : policy.rules()) {
    const auto unknown = unknown_of(rule, beyond, units);
    const auto same = [&](const Unjudged& u) { return u.rule->name == rule.name; };
    if (unknown.empty() || std::ranges::any_of(found, same)) continue;
    found.push_back({&rule, fmt::format("{} does not tell {}", source, fmt::join(unknown, ", "))});
  }
  return found;
}

std::shared_ptr<const Policy> without(const Policy& policy, const std::vector<Unjudged>& unjudged) {
  std::vector<Rule> judged = policy.rules();
  std::erase_if(judged, [&](const Rule& rule) {
    return std::ranges::any_of(unjudged, [&](const Unjudged& u) { return u.rule->name == rule.name; });
  });
  return std::make_shared<const Policy>(policy.site(), policy.settings(), std::move(judged), policy.id(),
                                        policy.raises());
}

}  // namespace replygate

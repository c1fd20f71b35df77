#include "milter/serve/gone_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace replygate {
namespace {

bool keeps_counters(const Rule& rule) { return rule.has_limits() || !rule.escalate.empty(); }

std::set<std::string_view> counting_rules(const Policy& policy) {
  std::set<std::string_view> names;
  for (const Rule& rule : policy.rules()) {
    if (keeps_counters(rule)) names.insert(rule.name);
  }
  return names;
}

bool has_rule(const Policy& policy, std::string_view name) {
  return std::ranges::any_of(policy.rules(), [&](const Rule& r) { return r.name == name || r.was == name; });
}

const Rule& counting_rule(const Policy& policy, std::string_view name) {
  return *std::ranges::find_if(policy.rules(), [&](const Rule& r) { return r.name == name && keeps_counters(r); });
}

// Counters of the one would mean something in the other: they have the same key, and count the same.
bool is_like(const Rule& a, const Rule& b) {
  if (!std::ranges::equal(a.per, b.per, {}, &FactRef::text, &FactRef::text)) return false;
  if (!a.has_limits() || !b.has_limits()) return a.has_limits() == b.has_limits();
  return std::ranges::any_of(a.limits, [&](const Limit& limit) {
    return std::ranges::find(b.limits, limit.unit, &Limit::unit) != b.limits.end();
  });
}

// Rules of `after` that are new, and may be `gone` by another name.
std::vector<std::string_view> successors(const Policy& before, const Policy& after, const Rule& gone) {
  std::vector<std::string_view> found;
  for (const std::string_view name : counting_rules(after)) {
    const Rule& rule = counting_rule(after, name);
    const bool is_new = std::ranges::find(before.rules(), name, &Rule::name) == before.rules().end();
    if (is_new && rule.was.empty() && is_like(gone, rule)) found.push_back(name);
  }
  return found;
}

}  // namespace

std::string notes_on_gone_rules(const Policy& before, const Policy& after) {
  std::string notes;
  for (const std::string_view name : counting_rules(before)) {
    if (has_rule(after, name)) continue;
    const auto heirs = successors(before, after, counting_rule(before, name));
    if (heirs.empty()) continue;  // it was removed
    notes +=
        fmt::format("note: the rule \"{}\" is gone, and with it what it has counted; renamed? write was = \"{}\"{}\n",
                    name, name, heirs.size() > 1 ? "" : fmt::format(" in the rule \"{}\"", heirs.front()));
  }
  return notes;
}

}  // namespace replygate

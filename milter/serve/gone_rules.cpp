#include "milter/serve/gone_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

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

// The only rule that is new and counts, to which the counters may belong; "" where there are none or several.
std::string_view successor(const Policy& before, const Policy& after) {
  std::string_view found;
  for (const std::string_view name : counting_rules(after)) {
    if (std::ranges::find(before.rules(), name, &Rule::name) != before.rules().end()) continue;
    if (!found.empty()) return {};
    found = name;
  }
  return found;
}

}  // namespace

std::string notes_on_gone_rules(const Policy& before, const Policy& after) {
  const std::string_view heir = successor(before, after);
  std::string notes;
  for (const std::string_view name : counting_rules(before)) {
    if (has_rule(after, name)) continue;
    notes +=
        fmt::format("note: the rule \"{}\" is gone, and with it what it has counted; renamed? write was = \"{}\"{}\n",
                    name, name, heir.empty() ? "" : fmt::format(" in the rule \"{}\"", heir));
  }
  return notes;
}

}  // namespace replygate

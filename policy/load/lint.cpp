#include "policy/load/lint.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>

#include "policy/proof/solver.h"

namespace replygate {
namespace {

Region region_of(const Rule& rule) {
  const Place& p = rule.place;
  return {.file = p.file, .line = p.line, .column = p.column, .end_line = p.line, .end_column = p.column + 8};
}

std::string text_of(const Condition& c, bool when) {
  return fmt::format("{} {} = {}", when ? "when" : "unless", c.fact.text(), c.source);
}

// Ascending.
std::vector<std::string> conditions_of(const Rule& rule) {
  std::vector<std::string> texts;
  for (const Condition& c : rule.when) texts.push_back(text_of(c, true));
  for (const Condition& c : rule.unless) texts.push_back(text_of(c, false));
  std::ranges::sort(texts);
  return texts;
}

bool answers_for_certain(const Rule& rule) { return rule.is_certain() && !std::holds_alternative<Tag>(rule.outcome); }

// Where both hold, the earlier has answered.
bool hides(const Rule& earlier, const Rule& later) {
  if (earlier.stage > later.stage || earlier.name == later.name) return false;
  return earlier.refuses() || earlier.stage == later.stage || !earlier.names_recipient_facts();
}

class ReachLint {
 public:
  ReachLint(Context& context, const Policy& policy) : context_(context), policy_(policy) {}

  void run() {
    for (const Rule& rule : policy_.rules()) {
      const auto conditions = conditions_of(rule);
      if (const Rule* earlier = hiding(rule, conditions)) report(rule, *earlier);
      if (answers_for_certain(rule))
        by_first_[conditions.empty() ? "" : conditions.front()].push_back({&rule, conditions});
    }
  }

 private:
  struct Earlier {
    const Rule* rule;
    std::vector<std::string> conditions;
  };

  // An earlier rule all of whose conditions are among those of `rule`.
  const Rule* hiding(const Rule& rule, const std::vector<std::string>& conditions) const {
    std::vector<std::string> firsts = {""};
    firsts.insert(firsts.end(), conditions.begin(), conditions.end());
    for (const std::string& first : firsts) {
      const auto it = by_first_.find(first);
      if (it == by_first_.end()) continue;
      for (const Earlier& earlier : it->second) {
        if (hides(*earlier.rule, rule) && std::ranges::includes(conditions, earlier.conditions)) return earlier.rule;
      }
    }
    return nullptr;
  }

  void report(const Rule& rule, const Rule& earlier) {
    Diagnostic& d =
        context_.warning(Rg::unreachable, region_of(rule), fmt::format("the rule \"{}\" is never reached", rule.name),
                         "remove it, or let it stand before that rule");
    d.secondary = Label{region_of(earlier), fmt::format("wherever it holds, \"{}\" has answered", earlier.name)};
  }

  Context& context_;
  const Policy& policy_;
  boost::unordered_flat_map<std::string, std::vector<Earlier>> by_first_;
};

void warn_of_empty_rules(Context& context, const Policy& policy) {
  const Rule* before = nullptr;
  for (const Rule& rule : policy.rules()) {
    const bool part = before != nullptr && before->name == rule.name;
    before = &rule;
    if (part || rule.when.size() + rule.unless.size() < 2) continue;
    Model model;
    if (solve(literals_of(rule), policy.site(), model) != Solved::none) continue;
    context.warning(Rg::never_holds, region_of(rule), fmt::format("the rule \"{}\" can never hold", rule.name),
                    "its conditions exclude each other");
  }
}

}  // namespace

void lint(Context& context, const Policy& policy) {
  warn_of_empty_rules(context, policy);
  ReachLint(context, policy).run();
}

}  // namespace replygate

#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/load/rules.h"

namespace replygate {

// One table of [[rule]] on its way to rules. Used once.
class RuleLoader {
 public:
  RuleLoader(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults, const Node& table);

  // A rule, or several of one name: limits in units that are counted at different stages make a part each.
  std::vector<Rule> load();

 private:
  // rules.cpp: what every rule has.
  void name();
  void former_name();
  void store_error();
  void conditions(const Entry& entry, std::vector<Condition>& target);
  void header_conditions(const Entry& entry, std::vector<Condition>& target);
  std::optional<FactRef> fact(std::string_view name, const Region& at);
  void note(const FactRef& ref);
  void move_stage();
  void outcome();
  void accepts(const Entry& entry);
  void holds(const Entry& entry);
  void discards(const Entry& entry);
  void tags(const Entry& entry);
  void refuses(const Node& node);
  void headers(const Node& node);
  void finish(Outcome outcome, const Region& at);
  void add_part(Stage stage, const Node& reply);
  bool is_true(const Entry& entry, std::string_view instead);
  void check_recipient_facts(Stage stage, const Region& at);

  // rule_counting.cpp: keys, limits, greylisting, escalation, shares.
  void counting();
  void per(const Node& node);
  Limits limits(const Node& node);
  void add_limit(const Node& node, Limits& result);
  void burst(const Node& node);
  void warn_at(const Node& node);
  void share(const Node& node);
  void overrides(const Node& node);
  void override_source(const Node& node);
  void add_override(std::string_view key, const Region& at, Limits own);
  void greylist(const Node& node);
  void pool(const Node& node);
  void escalate(const Node& node);
  void escalation_step(const Node& node);
  void report_keys_without_meaning();
  Limits limits_at(Stage stage, const Limits& limits, const Region& at);
  template <typename Change>
  void each_limit(Rule& rule, Change change);

  template <typename T, std::size_t N>
  void word(std::string_view key, const std::pair<std::string_view, T> (&choices)[N], T& target) {
    if (const Entry* e = table_.find(key)) {
      if (const auto value = choice(context_, e->value, key, choices)) target = *value;
    }
  }
  void raise(Stage stage) { rule_.stage = std::max(rule_.stage, stage); }

  Context& context_;
  Patterns& patterns_;
  Replies& replies_;
  const Node& table_;
  Rule rule_;
  std::set<Stage> unit_stages_;     // at which its limits and overrides are counted
  std::size_t list_overrides_ = 0;  // at the end of the patterns
  std::vector<const Node*> step_replies_;
  bool names_recipient_facts_ = false;
  std::vector<Rule> parts_;
};

template <typename Change>
void RuleLoader::each_limit(Rule& rule, Change change) {
  change(rule.limits);
  for (auto& [key, limits] : rule.overrides.exact) change(limits);
  for (auto& [set, limits] : rule.overrides.patterns) change(limits);
}

// The stage at which a unit is counted.
Stage stage_of(Unit unit);

}  // namespace replygate

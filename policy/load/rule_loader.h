#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/load/rule_counting.h"

namespace replygate {

// Reads what one table of [[rule]] says, and makes rules of it. Used once.
class RuleLoader {
 public:
  RuleLoader(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults, const Node& table);

  // A rule, or several of one name: limits in units that are counted at different stages make a part each.
  std::vector<Rule> load();

 private:
  void name();
  void former_name();
  void store_error();
  void conditions(const Entry& entry, std::vector<Condition>& target);
  void header_conditions(const Entry& entry, std::vector<Condition>& target);
  void note(const FactRef& ref);
  void move_stage();
  void check_growing(Stage stage);
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
  RuleCounting counting_;
  bool names_recipient_facts_ = false;
  std::vector<std::pair<Region, Condition>> growing_;  // on facts that are 0 at the beginning of a session
  std::vector<Rule> parts_;
};

}  // namespace replygate

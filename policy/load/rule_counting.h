#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "policy/load/items.h"
#include "policy/load/override_key.h"
#include "policy/load/rule_limits.h"
#include "policy/load/rules.h"

namespace replygate {

// Works out how a rule counts: key, limits, overrides, greylisting, share, escalation. Used once, for one rule.
class RuleCounting {
 public:
  RuleCounting(Context& context, Patterns& patterns, Replies& replies, const Node& table, Rule& rule)
      : context_(context), patterns_(patterns), replies_(replies), table_(table), rule_(rule) {}

  // All but escalation, which goes by the reply of the rule.
  void read();
  void escalate(const Node& node, const ReplySpec& own);

  // Stages at which its limits and overrides are counted.
  const std::set<Stage>& stages() const { return stages_; }
  // Something that it counts is a fact of one recipient.
  bool names_recipients() const { return names_recipients_; }
  // Where the replies of its steps stand.
  const std::vector<const Node*>& step_replies() const { return step_replies_; }
  // Those that are counted at a stage; reports those that cannot be counted where the rule's facts put them.
  Limits limits_at(Stage stage, const Limits& limits, const Region& at);

 private:
  void per(const Node& node);
  Limits limits(const Node& node);
  void add_limit(const Node& node, Limits& result);
  void burst(const Node& node);
  void at_least(const Entry* entry);
  void warn_at(const Node& node);
  void share(const Node& node);
  std::optional<std::int64_t> read_share(const Node& node, std::string_view key, std::string_view of);
  void overrides(const Node& node);
  void override_source(const Node& node);
  void live_override(const Node& node);
  void add_to_override(const Node& node, OwnLimits& own);
  void report_idle(const Node& node, const Limit& limit);
  void note_what_stays(const OwnLimits& own, const Region& at);
  bool is_known(const OverrideKey& key) const;
  void add_override(std::string_view key, const Region& at, Limits own);
  void greylist(const Node& node);
  void pool(const Node& node);
  void escalation_step(const Node& node, const ReplySpec& own);
  void report_keys_without_meaning();
  void warn_of_idle_keys();

  Context& context_;
  Patterns& patterns_;
  Replies& replies_;
  const Node& table_;
  Rule& rule_;
  std::set<Stage> stages_;
  std::size_t list_overrides_ = 0;  // at the end of the patterns
  std::size_t network_lists_ = 0;   // at the end of the networks
  bool has_failed_ = false;         // a limit was not understood
  bool has_noted_ = false;          // what stays beside overrides
  std::vector<Region> shares_;      // where limits that are a share stand
  std::vector<const Node*> step_replies_;
  bool names_recipients_ = false;
};

}  // namespace replygate

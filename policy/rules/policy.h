#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "policy/count/raise.h"
#include "policy/rules/needs.h"
#include "policy/rules/rule.h"
#include "policy/rules/rule_index.h"
#include "policy/rules/settings.h"
#include "policy/rules/site.h"

// The compiled policy: immutable, shared by all threads, kept alive by the sessions that began with it.
namespace replygate {

class Policy {
 public:
  Policy(Site site, Settings settings, std::vector<Rule> rules, std::string id, Raises raises = {});
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  ~Policy() = default;

  const Site& site() const { return site_; }
  const Settings& settings() const { return settings_; }
  const std::vector<Rule>& rules() const { return rules_; }
  // As the policy counts them: parts of one rule at several stages are one.
  std::size_t named_rules() const;
  // The rules that are judged at a stage, in the order of the file.
  const std::vector<const Rule*>& rules_at(Stage stage) const { return index_at(stage).rules(); }
  const RuleIndex& index_at(Stage stage) const { return by_stage_[static_cast<std::size_t>(stage)]; }
  const std::string& id() const { return id_; }  // changes with the text of the policy
  const Needs& needs() const { return needs_; }
  // How many conditions a message keeps, see KeptTruths.
  std::size_t kept_conditions() const { return kept_conditions_; }
  // That its rules ask, each once.
  const std::vector<LiveSourcePtr>& live_sources() const { return live_sources_; }
  // The rules that count what happens: units of counts_events().
  const std::vector<const Rule*>& rules_counting(Unit unit) const;

  // What an admin has granted beyond the limits of the rules.
  const Raises& raises() const { return raises_; }
  // The same policy with these grants, and an id that tells them.
  std::shared_ptr<const Policy> with(Raises raises) const;

  // Every rule with every default filled in, for people.
  std::string text() const;

 private:
  Site site_;
  Settings settings_;
  std::vector<Rule> rules_;
  std::size_t kept_conditions_ = 0;
  std::array<RuleIndex, kStages.size()> by_stage_;
  std::string id_;
  Raises raises_;
  Needs needs_;
  std::vector<LiveSourcePtr> live_sources_;
  std::vector<const Rule*> counting_refusals_;
  std::vector<const Rule*> counting_unknown_;
};

}  // namespace replygate

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load/context.h"
#include "policy/load/patterns.h"
#include "policy/load/rules.h"
#include "policy/rules/policy.h"

namespace replygate {

// Everything of a policy that is no rule and no reply.
class SettingsLoader {
 public:
  SettingsLoader(Context& context, Patterns& patterns, const Node& root)
      : context_(context), patterns_(patterns), root_(root) {}

  // Makes the lists of [lists] and [site] known; to be called first.
  void define_lists(const std::vector<const Node*>& documents);
  Settings load();
  Site site();
  RuleDefaults rule_defaults(const Settings& settings) const;

 private:
  // The table of a section with its keys checked; null where there is none.
  const Node* section(std::string_view name);
  void define_named_lists(const Node& table);
  void load_mailbox(const Node& table, Settings& settings);
  void load_subaddress(const Node& table, Site& site);
  void load_normalize(const Node& table, Site& site);
  void load_login_domain(const Node& table, Site& site);
  void load_zone(const Node& table, Site& site);
  void load_log(const Node& table, Settings& settings);
  void load_keys(const Node& table, Site& site);
  void add_sink(const Node& node, Settings& settings);
  unsigned prefix(const Node& table, std::string_view key, unsigned standard, unsigned most);

  Context& context_;
  Patterns& patterns_;
  const Node& root_;
  std::map<std::string, Region, std::less<>> lists_;
  Mode mode_ = Mode::enforce;
};

}  // namespace replygate

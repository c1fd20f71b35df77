#include "policy/rules/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "policy/mail/quantity.h"
#include "policy/mail/text.h"
#include "policy/rules/policy_text.h"

namespace replygate {
namespace {

FactSet facts_of(const Rule& rule) {
  FactSet set = 0;
  for (const FactRef& ref : rule.named_facts()) set |= bit(ref.fact);
  return set;
}

std::vector<Rule> with_facts(std::vector<Rule> rules) {
  for (Rule& rule : rules) rule.facts = facts_of(rule);
  return rules;
}

// Whether its fact, which stays the same, would be looked up in a list or among networks again for each recipient.
bool is_worth_keeping(const Condition& condition) {
  const bool costs = !std::holds_alternative<bool>(condition.matcher) &&
                     !std::holds_alternative<std::vector<NumberRange>>(condition.matcher);
  return costs && stays_in_message(condition.fact.fact) && condition.live.empty();
}

// Numbers the conditions that a message keeps, and tells how many they are.
std::size_t number_kept(std::vector<Rule>& rules) {
  std::uint32_t count = 0;
  for (Rule& rule : rules) {
    for (std::vector<Condition>* conditions : {&rule.when, &rule.unless}) {
      for (Condition& condition : *conditions) {
        const bool kept = rule.stage == Stage::rcpt && is_worth_keeping(condition);
        condition.kept_as = kept ? count++ : kNotKept;
      }
    }
  }
  return count;
}

}  // namespace

bool Site::knows_domains() const { return !local_domains->empty() || !relay_domains->empty(); }

Policy::Policy(Site site, Settings settings, std::vector<Rule> rules, std::string id, Raises raises)
    : site_(std::move(site)),
      settings_(std::move(settings)),
      rules_(with_facts(std::move(rules))),
      id_(std::move(id)),
      raises_(std::move(raises)),
      needs_(needs_of(rules_)) {
  kept_conditions_ = number_kept(rules_);
  std::array<std::vector<const Rule*>, kStages.size()> by_stage;
  for (const Rule& rule : rules_) {
    by_stage[static_cast<std::size_t>(rule.stage)].push_back(&rule);
    for (LiveSourcePtr& source : rule.live_sources()) {
      const bool known = std::ranges::find(live_sources_, source) != live_sources_.end();
      if (!known) live_sources_.push_back(std::move(source));
    }
    if (rule.counts(Unit::refusals)) counting_refusals_.push_back(&rule);
    if (rule.counts(Unit::unknown_recipients)) counting_unknown_.push_back(&rule);
  }
  for (std::size_t i = 0; i < by_stage.size(); ++i) by_stage_[i] = RuleIndex(std::move(by_stage[i]));
}

std::shared_ptr<const Policy> Policy::with(Raises raises) const {
  std::string id = id_.substr(0, id_.find('+'));
  std::size_t digest = raises.size();
  for (const Raise& r : raises) {
    digest = digest * 31 + std::hash<std::string>()(fmt::format("{} {} {} {}", r.key, r.rule, r.percent,
                                                                r.until.time_since_epoch().count()));
  }
  if (!raises.empty()) id += fmt::format("+{:04x}", digest & 0xffff);
  return std::make_shared<const Policy>(site_, settings_, rules_, std::move(id), std::move(raises));
}

const std::vector<const Rule*>& Policy::rules_counting(Unit unit) const {
  return unit == Unit::refusals ? counting_refusals_ : counting_unknown_;
}

std::size_t Policy::named_rules() const {
  std::size_t count = 0;
  for (const Rule& rule : rules_) {
    if (rule.index == 0 || rules_[rule.index - 1].name != rule.name) ++count;
  }
  return count;
}

std::string Policy::text() const {
  std::string text =
      fmt::format("policy {}: {}\n", id_, counted(named_rules(), "rule")) + settings_text(settings_, site_);
  for (const LiveSourcePtr& source : live_sources_) {
    text += fmt::format("asks       {}: {}, cache {}, timeout {}\n", source->name, source->text(),
                        format_duration(source->cache), format_duration(source->timeout));
  }
  std::size_t number = 0;
  for (const Rule& rule : rules_) {
    if (rule.index == 0 || rules_[rule.index - 1].name != rule.name) ++number;
    text += '\n' + rule_text(rule, number);
  }
  return text;
}

}  // namespace replygate

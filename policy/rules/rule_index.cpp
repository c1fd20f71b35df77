#include "policy/rules/rule_index.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/mail/text.h"
#include "policy/rules/policy.h"

namespace replygate {
namespace {

constexpr std::size_t kWorthwhile = 8;  // fewer rules are asked one by one
constexpr std::size_t kMostEntries = 1000;

// Facts that are always known at the stages of rules that name them.
bool may_index(const FactRef& ref) {
  switch (ref.fact) {
    case Fact::client_ip:
    case Fact::client_name:
    case Fact::helo:
    case Fact::sender:
    case Fact::sender_local:
    case Fact::sender_domain:
    case Fact::user:
    case Fact::user_local:
    case Fact::user_domain:
    case Fact::recipient:
    case Fact::recipient_local:
    case Fact::recipient_domain: return true;
    default: return false;
  }
}

template <typename Lists>
void append(const Lists& lists, std::string_view key, RuleIndex::Positions& found) {
  const auto it = lists.find(key);
  if (it != lists.end()) found.insert(found.end(), it->second.begin(), it->second.end());
}

}  // namespace

RuleIndex::RuleIndex(std::vector<const Rule*> rules) : rules_(std::move(rules)) {
  if (rules_.size() < kWorthwhile) return;
  for (std::uint32_t i = 0; i < rules_.size(); ++i) {
    if (!add(*rules_[i], i)) always_.push_back(i);
  }
  seal_networks();
  indexed_ = always_.size() < rules_.size();
}

bool RuleIndex::add(const Rule& rule, std::uint32_t position) {
  for (const Condition& c : rule.when) {
    if (!may_index(c.fact) || !c.live.empty()) continue;
    if (const auto* texts = std::get_if<std::shared_ptr<const TextSet>>(&c.matcher)) {
      if (!(*texts)->is_list() || (*texts)->entries() > kMostEntries) continue;
      add_texts(c.fact, **texts, position);
      return true;
    }
    if (const auto* networks = std::get_if<std::shared_ptr<const NetworkSet>>(&c.matcher)) {
      if ((*networks)->size() > kMostEntries) continue;
      networks_.emplace_back(position, networks->get());
      return true;
    }
  }
  return false;
}

void RuleIndex::add_texts(const FactRef& fact, const TextSet& texts, std::uint32_t position) {
  auto it = std::ranges::find(texts_, fact, &ByText::fact);
  if (it == texts_.end()) it = texts_.insert(texts_.end(), ByText{.fact = fact});
  const auto note = [&](Lists& lists, const PackedTexts& table) {
    for (const std::string_view text : table) lists[std::string(text)].push_back(position);
  };
  note(it->exact, texts.exact());
  note(it->trees, texts.trees());
  note(it->at_domains, texts.at_domains());
  note(it->locals, texts.locals());
  it->all.push_back(position);
}

// Wherever a network begins or ends, another set of rules holds.
void RuleIndex::seal_networks() {
  struct Change {
    std::vector<std::uint32_t> begin;
    std::vector<std::uint32_t> end;
  };
  std::map<IpAddress, Change> changes;
  for (const auto& [position, set] : networks_) {
    set->each_range([&](const IpAddress& first, const IpAddress& last) {
      changes[first].begin.push_back(position);
      if (const auto after = next_address(last)) changes[*after].end.push_back(position);
    });
  }
  std::multiset<std::uint32_t> active;
  for (const auto& [address, change] : changes) {
    for (const std::uint32_t position : change.end) active.erase(active.find(position));
    for (const std::uint32_t position : change.begin) active.insert(position);
    stretches_.push_back({address, {active.begin(), active.end()}});
  }
}

void RuleIndex::find_texts(const ByText& index, const Facts& facts, Positions& found) {
  const Value value = value_of(index.fact, facts);
  const auto* given = std::get_if<std::string_view>(&value);
  if (given == nullptr) {
    found.insert(found.end(), index.all.begin(), index.all.end());
    return;
  }
  find_text(index, *given, found);
  const std::string_view untagged = untagged_value(index.fact.fact, facts);
  if (!untagged.empty()) find_text(index, untagged, found);
}

void RuleIndex::find_text(const ByText& index, std::string_view given, Positions& found) {
  std::string kept;
  const std::string_view text = is_lower_ascii(given) ? given : in_one_case(given, kept);
  append(index.exact, text, found);
  const std::size_t at = text.rfind('@');
  std::string_view domain = text;
  if (at != std::string_view::npos) {
    domain.remove_prefix(at + 1);
    append(index.at_domains, domain, found);
    append(index.locals, {text.data(), at}, found);
  }
  while (!index.trees.empty() && !domain.empty()) {
    append(index.trees, domain, found);
    const std::size_t dot = domain.find('.');
    if (dot == std::string_view::npos) break;
    domain.remove_prefix(dot + 1);
  }
}

void RuleIndex::find_networks(const Facts& facts, Positions& found) const {
  if (!facts.connection.ip) return;  // in no network
  const auto after = std::ranges::upper_bound(stretches_, *facts.connection.ip, {}, &Stretch::first);
  if (after == stretches_.begin()) return;
  const auto& rules = std::prev(after)->rules;
  found.insert(found.end(), rules.begin(), rules.end());
}

RuleIndex::Positions RuleIndex::find(const Facts& facts) const {
  Positions found;
  for (const ByText& index : texts_) find_texts(index, facts, found);
  if (!stretches_.empty()) find_networks(facts, found);
  found.insert(found.end(), always_.begin(), always_.end());
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace replygate

#include "policy/count/charges.h"

#include <algorithm>
#include <optional>

#include "policy/mail/text.h"

namespace replygate {
namespace {

struct Key {
  std::string shown;
  std::string identity;
};

std::string without_tag(std::string text, std::string_view separators) {
  const std::size_t at = text.rfind('@');
  const std::size_t tag = text.find_first_of(separators, 1);
  if (tag == std::string::npos || (at != std::string::npos && tag > at)) return text;
  return text.erase(tag, (at == std::string::npos ? text.size() : at) - tag);
}

bool may_have_tag(FactKind kind) {
  return kind == FactKind::address || kind == FactKind::local_part || kind == FactKind::login;
}

// Nothing where a fact of the key is empty or unknown: the rule does not apply then.
std::optional<Key> key_of(const Rule& rule, const Facts& facts, const Site& site) {
  Key key;
  for (const Fact fact : rule.per) {
    std::string value = value_text(fact, facts);
    if (value.empty()) return std::nullopt;
    const FactKind kind = info(fact).kind;
    if (!site.subaddress.empty() && may_have_tag(kind)) value = without_tag(std::move(value), site.subaddress);
    value = to_lower(value);
    if (!key.shown.empty()) key.shown += '|';
    key.shown += value;
    key.identity += std::to_string(value.size());
    key.identity += ':';
    key.identity += value;
  }
  return key;
}

std::string counter_of(const Rule& rule, const Limit& limit, const Key& key) {
  constexpr char kEnd = '\x1f';  // in no rule's name
  std::string counter = rule.name;
  counter += kEnd;
  counter += to_string(limit.unit);
  counter += '/';
  counter += limit.period_text();
  counter += kEnd;
  counter += key.identity;
  return counter;
}

std::int64_t cost_of(const Limit& limit, const Facts& facts) {
  return limit.unit == Unit::bytes && facts.transaction != nullptr ? facts.transaction->size : 1;
}

// Postmaster of our own domains is never refused by a limit (RFC 5321 §4.5.1).
bool is_postmaster(const Facts& facts, const Site& site) {
  if (facts.recipient == nullptr) return false;
  const Address& address = facts.recipient->address;
  return address.local() == "postmaster" &&
         (address.domain() == site.default_domain || site.local_domains->contains(address.domain()));
}

class Walk {
 public:
  Walk(const Policy& policy, const Facts& facts, const Question& question)
      : policy_(policy), facts_(facts), question_(question) {}

  Charges run() {
    for (const Rule* rule : policy_.rules_at(question_.stage)) {
      if (rule->index >= question_.before) break;
      if (question_.mta_refused && !rule->needs(Fact::mta_refused)) continue;
      if ((rule->has_limits() && !question_.counters) || (rule->facts & question_.beyond) != 0) continue;
      if (visit(*rule)) break;
    }
    return std::move(charges_);
  }

 private:
  // True where the rule answers for certain.
  bool visit(const Rule& rule) {
    const Truth holds = holds_of(rule);
    if (holds == Truth::no) return false;
    Candidate candidate{.rule = &rule, .holds = holds, .first = charges_.asks.size(), .count = 0};
    if (holds == Truth::yes && rule.has_limits()) {
      if (!add_limits(rule)) return false;
      candidate.count = charges_.asks.size() - candidate.first;
    }
    charges_.candidates.push_back(candidate);
    if (rule.mode == Mode::observe) return false;
    return holds == Truth::yes ? !rule.has_limits() : rule.on_unknown == OnUnknown::tempfail;
  }

  Truth holds_of(const Rule& rule) const {
    const Truth when = all_hold(rule.when, facts_);
    if (when == Truth::no) return Truth::no;
    const Truth unless = any_holds(rule.unless, facts_);
    if (unless == Truth::yes) return Truth::no;
    return when == Truth::yes && unless == Truth::no ? Truth::yes : Truth::unknown;
  }

  // False where no limit applies: no key, an exempt key, or everything charged before.
  bool add_limits(const Rule& rule) {
    if (is_postmaster(facts_, policy_.site())) return false;
    const auto key = key_of(rule, facts_, policy_.site());
    if (!key) return false;
    const Limits* own = rule.overrides.find(key->shown);
    const std::size_t before = charges_.asks.size();
    for (const Limit& limit : own != nullptr ? *own : rule.limits) {
      std::string counter = counter_of(rule, limit, *key);
      if (question_.charged != nullptr && question_.charged->contains(counter)) continue;
      charges_.asks.push_back({.rule = &rule,
                               .limit = limit,
                               .key = key->shown,
                               .counter = std::move(counter),
                               .cost = cost_of(limit, facts_)});
    }
    return charges_.asks.size() > before;
  }

  const Policy& policy_;
  const Facts& facts_;
  const Question& question_;
  Charges charges_;
};

}  // namespace

Charges charges_for(const Policy& policy, const Facts& facts, const Question& question) {
  return Walk(policy, facts, question).run();
}

}  // namespace replygate

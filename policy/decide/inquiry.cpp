#include "policy/decide/inquiry.h"

#include <algorithm>

#include "policy/mail/text.h"
#include "policy/rules/key_part.h"

namespace replygate {
namespace {

bool names_client(Fact fact) {
  return fact == Fact::client_ip || fact == Fact::client_net || fact == Fact::client_name;
}

// The pool that stands for the client; null where it is in none.
const Pool* pool_of(const Rule& rule, const Connection& connection) {
  const auto in = [&](const Pool& pool) {
    return (pool.names != nullptr && pool.names->contains(to_lower(connection.name))) ||
           (pool.networks != nullptr && connection.ip && pool.networks->contains(*connection.ip));
  };
  const auto it = std::ranges::find_if(rule.pools, in);
  return it == rule.pools.end() ? nullptr : &*it;
}

bool is_pool(const Rule& rule, std::string_view name) {
  return std::ranges::find(rule.pools, name, &Pool::name) != rule.pools.end();
}

// FNV-1a: the same on every host and in every version, so that a key stays on its side of a share.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash ^ hash >> 32;
}

bool in_share(const Rule& rule, const std::optional<Key>& key) {
  if (rule.share == Rule::kWhole) return true;
  return key && static_cast<std::int64_t>(stable_hash(rule.name + key->identity) % Rule::kWhole) < rule.share;
}

constexpr std::size_t kUsualAsks = 4;  // of a decision
constexpr char kEnd = '\x1f';          // in no rule's name
constexpr std::string_view kEscalate = "escalate\x1f";

// Names the counter of an ask, and what it was called under the former name of the rule.
void name_counter(Ask& ask, const Rule& rule, std::string_view what, const Key& key) {
  const auto under = [&](std::string_view name) {
    std::string counter;
    counter.reserve(name.size() + what.size() + key.identity.size() + 2);
    for (const std::string_view part : {name, what}) {
      counter += part;
      counter += kEnd;
    }
    counter += key.identity;
    return counter;
  };
  ask.counter = under(rule.name);
  if (!rule.was.empty()) ask.was = under(rule.was);
}

void append_part(Key& key, std::string value, const FactRef& fact, const Site& site) {
  value = key_part(std::move(value), fact.fact, site);
  if (!key.identity.empty()) key.shown += kPartSeparator;
  key.shown += shown_part(value);
  key.identity += std::to_string(value.size());
  key.identity += ':';
  key.identity += value;
}

std::int64_t cost_of(const Limit& limit, const Facts& facts) {
  if (facts.transaction == nullptr) return 1;
  if (limit.unit == Unit::bytes) return facts.transaction->size;
  return limit.unit == Unit::recipients && facts.recipient == nullptr ? facts.transaction->recipients : 1;
}

class Walk {
 public:
  Walk(const Policy& policy, const Facts& facts, const Question& question)
      : policy_(policy), facts_(facts), question_(question) {}

  Inquiry run() {
    policy_.index_at(question_.stage).each(facts_, [&](const Rule& rule) {
      if (rule.index >= question_.until_rule) return true;
      if (question_.mta_refused && !rule.needs(Fact::mta_refused)) return false;
      if ((rule.has_limits() && !question_.counters) || (rule.facts & question_.beyond) != 0) return false;
      return visit(rule);
    });
    return std::move(inquiry_);
  }

 private:
  // True where the rule answers for certain.
  bool visit(const Rule& rule) {
    const Truth holds = holds_of(rule, facts_);
    if (holds == Truth::no) return false;
    Candidate candidate{.rule = &rule, .mode = rule.mode, .holds = holds, .first = inquiry_.asks.size()};
    if (holds == Truth::yes && !rule.per.empty()) {
      const auto key = key_of(rule, facts_, policy_.site());
      if (!in_share(rule, key)) candidate.mode = Mode::observe;
      if (rule.has_limits() && !(key && add_asks(candidate, *key))) return false;
      if (key && question_.counters) add_escalations(candidate, *key);
    } else if (holds == Truth::yes && rule.has_limits() && !add_asks(candidate, Key())) {
      return false;
    }
    inquiry_.candidates.push_back(candidate);
    if (candidate.mode == Mode::observe || std::holds_alternative<Tag>(rule.outcome)) return false;
    if (question_.counting_only && rule.refuses()) return false;
    return holds == Truth::yes ? !rule.has_limits() : rule.on_unknown == OnUnknown::tempfail;
  }

  // False where no limit applies: an exempt key, or everything charged before.
  bool add_asks(Candidate& candidate, const Key& key) {
    if (!question_.limits) return false;
    if (facts_.recipient != nullptr && is_postmaster(facts_.recipient->address, policy_.site())) return false;
    const Rule& rule = *candidate.rule;
    if (rule.greylist) {
      add_sightings(candidate, key);
    } else {
      for (const Limit& limit : limits_of(rule, key)) {
        const Limit now = raised(limit, policy_.raises(), rule.name, key.shown, facts_.now);
        Ask ask = ask_for(rule, now, key, facts_);
        if (still_to_compare(ask)) add(candidate, std::move(ask));
      }
    }
    candidate.count = inquiry_.asks.size() - candidate.first;
    return candidate.count > 0;
  }

  // False where the message or the session has been let in before.
  bool still_to_compare(Ask& ask) const {
    const std::string_view name = once_name(ask);
    const Once* once = ask.limit.unit == Unit::connections ? question_.session : question_.message;
    if (name.empty() || once == nullptr) return true;
    if (once->admitted.contains(name)) return false;
    ask.uncharged = once->refused.contains(name);
    ask.own = once->refused.contains(ask.counter) ? ask.cost : 0;
    return true;
  }

  void add(const Candidate& candidate, Ask ask) {
    ask.mode = candidate.mode;
    if (inquiry_.asks.empty()) inquiry_.asks.reserve(kUsualAsks);
    inquiry_.asks.push_back(std::move(ask));
  }

  void add_sightings(const Candidate& candidate, const Key& key) {
    const Rule& rule = *candidate.rule;
    Ask sighting{.rule = &rule, .purpose = Ask::Purpose::sighting, .key = key.shown};
    name_counter(sighting, rule, "greylist", key);
    add(candidate, std::move(sighting));
    if (rule.greylist->after == 0) return;
    const Pool* pool = pool_of(rule, facts_.connection);
    std::string client = pool != nullptr ? pool->name : facts_.connection.net;
    const Key of_client{.shown = client, .identity = client};
    Ask passed{.rule = &rule,
               .purpose = Ask::Purpose::client,
               .limit = {.most = rule.greylist->after - 1, .period = rule.greylist->remember},
               .key = std::move(client),
               .cost = 0};
    name_counter(passed, rule, "client/" + passed.limit.period_text(), of_client);
    add(candidate, std::move(passed));
  }

  void add_escalations(Candidate& candidate, const Key& key) {
    for (const Escalation& step : candidate.rule->escalate) {
      add(candidate, escalation_ask(*candidate.rule, step, key, facts_));
      ++candidate.escalations;
    }
  }

  const Policy& policy_;
  const Facts& facts_;
  const Question& question_;
  Inquiry inquiry_;
};

}  // namespace

std::string_view once_name(const Ask& ask) {
  if (ask.purpose != Ask::Purpose::limit) return "";
  if (ask.limit.unit == Unit::messages) return ask.counter;
  if (ask.limit.unit != Unit::connections) return {};
  return ask.rule->name;
}

bool is_postmaster(const Address& address, const Site& site) {
  return address.local() == "postmaster" &&
         (address.domain() == site.default_domain || site.local_domains->contains(address.domain()));
}

Truth holds_of(const Rule& rule, const Facts& facts) {
  const Truth when = all_hold(rule.when, facts);
  if (when == Truth::no) return Truth::no;
  const Truth unless = any_holds(rule.unless, facts);
  if (unless == Truth::yes) return Truth::no;
  return when == Truth::yes && unless == Truth::no ? Truth::yes : Truth::unknown;
}

std::optional<Key> key_of(const Rule& rule, const Facts& facts, const Site& site) {
  Key key;
  const Pool* pool = rule.pools.empty() ? nullptr : pool_of(rule, facts.connection);
  for (const FactRef& fact : rule.per) {
    std::string value = pool != nullptr && names_client(fact.fact) ? pool->name : value_text(fact, facts);
    const bool bare_login = fact.fact == Fact::user_domain && facts.transaction != nullptr &&
                            !facts.transaction->user.empty() && value.empty();
    if (bare_login) value = site.login_domain;
    if (value.empty()) return std::nullopt;
    append_part(key, std::move(value), fact, site);
  }
  return key;
}

std::optional<Key> key_from_text(const Rule& rule, std::string_view text, const Site& site) {
  if (rule.per.empty()) return text.empty() ? std::optional(Key()) : std::nullopt;
  const std::vector<std::string> parts = parts_of_key(text);
  if (parts.size() != rule.per.size()) return std::nullopt;
  Key key;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto value = canonical_key_part(parts[i], rule.per[i].fact, site);
    if (!value && names_client(rule.per[i].fact) && is_pool(rule, parts[i])) value = parts[i];
    if (!value) return std::nullopt;
    append_part(key, *std::move(value), rule.per[i], site);
  }
  return key;
}

std::vector<Ask> asks_of_key(const Policy& policy, const Rule& rule, const Key& key, Instant now) {
  const Connection nobody;
  const Facts facts{.connection = nobody, .now = now, .zone = &policy.site().zone};
  std::vector<Ask> asks;
  for (const Limit& limit : limits_of(rule, key)) {
    if (!limit.in_store()) continue;
    asks.push_back(ask_for(rule, raised(limit, policy.raises(), rule.name, key.shown, now), key, facts));
  }
  for (const Escalation& step : rule.escalate) asks.push_back(escalation_ask(rule, step, key, facts));
  return asks;
}

const Limits& limits_of(const Rule& rule, const Key& key) {
  const Limits* own = rule.overrides.find(key.shown);
  return own != nullptr ? *own : rule.limits;
}

Ask ask_for(const Rule& rule, const Limit& limit, const Key& key, const Facts& facts) {
  std::string what(to_string(limit.unit));
  what += '/';
  what += limit.period_text();
  if (limit.burst > 0) what += " burst";
  Ask ask{.rule = &rule, .mode = rule.mode, .limit = limit, .key = key.shown, .cost = cost_of(limit, facts)};
  if (limit.scope == Scope::calendar) {
    const Zone::Span span = facts.local_zone().span(limit.calendar, facts.now);
    what += ' ';
    what += span.begin;
    ask.until = span.end;
  }
  if (limit.unit == Unit::distinct_recipients && facts.recipient != nullptr) {
    const Address& address = facts.recipient->address;
    ask.member = address.bare.empty() ? address.full : address.bare;  // as in keys, without its tag
  }
  name_counter(ask, rule, what, key);
  return ask;
}

// Refusals that escalation counts are counted apart from limits in the same words.
Ask escalation_ask(const Rule& rule, const Escalation& step, const Key& key, const Facts& facts) {
  Ask ask = ask_for(rule, step.after, key, facts);
  ask.purpose = Ask::Purpose::escalation;
  for (std::string* counter : {&ask.counter, &ask.was}) {
    if (!counter->empty()) counter->insert(0, kEscalate);
  }
  ask.cost = 0;
  return ask;
}

Charge charge_of(const Ask& ask, std::uint32_t group, bool even_if_full, bool reserve) {
  Charge charge{.counter = ask.counter,
                .most = ask.limit.depth(),
                .cost = ask.cost,
                .group = group,
                .even_if_full = even_if_full,
                .reserve = reserve,
                .local = ask.rule->on_store_error == OnStoreError::local,
                .was = ask.was};
  const Limit& limit = ask.limit;
  if (ask.purpose == Ask::Purpose::sighting) {
    charge.measure = *ask.rule->greylist;
    charge.even_if_full = true;
    charge.reserve = false;
    charge.pardoned = ask.rule->greylist->after > 0;
  } else if (limit.scope == Scope::calendar) {
    charge.measure = Fixed{ask.until};
  } else if (limit.unit == Unit::distinct_recipients) {
    charge.measure = Distinct{limit.period};
    charge.member = ask.member;
  } else if (limit.burst > 0) {
    charge.measure = Bucket::Rate{limit.most, limit.period};
  } else {
    charge.measure = Sliding{limit.period};
  }
  if (ask.purpose == Ask::Purpose::limit && ask.rule->warn_at > 0) {
    charge.warn_at = std::max<std::int64_t>(1, (charge.most * ask.rule->warn_at + 99) / 100);
  }
  return charge;
}

Inquiry inquiry_for(const Policy& policy, const Facts& facts, const Question& question) {
  return Walk(policy, facts, question).run();
}

}  // namespace replygate

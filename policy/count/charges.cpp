#include "policy/count/charges.h"

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate {
namespace {

std::string without_tag(std::string text, std::string_view separators) {
  const std::size_t at = text.rfind('@');
  const std::size_t tag = text.find_first_of(separators, 1);
  if (tag == std::string::npos || (at != std::string::npos && tag > at)) return text;
  return text.erase(tag, (at == std::string::npos ? text.size() : at) - tag);
}

bool may_have_tag(FactKind kind) {
  return kind == FactKind::address || kind == FactKind::local_part || kind == FactKind::login;
}

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

constexpr char kEnd = '\x1f';  // in no rule's name
constexpr std::string_view kEscalate = "escalate\x1f";

// Names the counter of an ask, and what it was called under the former name of the rule.
void name_counter(Ask& ask, const Rule& rule, std::string_view what, const Key& key) {
  const auto under = [&](std::string_view name) {
    std::string counter;
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

void append_part(Key& key, std::string value, FactKind kind, const Site& site) {
  if (!site.subaddress.empty() && may_have_tag(kind)) value = without_tag(std::move(value), site.subaddress);
  value = to_lower(value);
  if (!key.identity.empty()) key.shown += '|';
  key.shown += value;
  key.identity += std::to_string(value.size());
  key.identity += ':';
  key.identity += value;
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
    policy_.index_at(question_.stage).each(facts_, [&](const Rule& rule) {
      if (rule.index >= question_.before) return true;
      if (question_.mta_refused && !rule.needs(Fact::mta_refused)) return false;
      if ((rule.has_limits() && !question_.counters) || (rule.facts & question_.beyond) != 0) return false;
      return visit(rule);
    });
    return std::move(charges_);
  }

 private:
  // True where the rule answers for certain.
  bool visit(const Rule& rule) {
    const Truth holds = holds_of(rule, facts_);
    if (holds == Truth::no) return false;
    Candidate candidate{.rule = &rule, .mode = rule.mode, .holds = holds, .first = charges_.asks.size()};
    if (holds == Truth::yes && !rule.per.empty()) {
      const auto key = key_of(rule, facts_, policy_.site());
      if (!in_share(rule, key)) candidate.mode = Mode::observe;
      if (rule.has_limits() && !(key && add_asks(candidate, *key))) return false;
      if (key && question_.counters) add_escalations(candidate, *key);
    } else if (holds == Truth::yes && rule.has_limits() && !add_asks(candidate, Key())) {
      return false;
    }
    charges_.candidates.push_back(candidate);
    if (candidate.mode == Mode::observe || std::holds_alternative<Tag>(rule.outcome)) return false;
    return holds == Truth::yes ? !rule.has_limits() : rule.on_unknown == OnUnknown::tempfail;
  }

  // False where no limit applies: an exempt key, or everything charged before.
  bool add_asks(Candidate& candidate, const Key& key) {
    if (is_postmaster(facts_, policy_.site())) return false;
    const Rule& rule = *candidate.rule;
    if (rule.greylist) {
      add_sightings(candidate, key);
    } else {
      for (const Limit& limit : limits_of(rule, key)) {
        const Limit now = raised(limit, policy_.raises(), rule.name, key.shown, facts_.now);
        Ask ask = ask_for(rule, now, key, facts_);
        if (question_.charged == nullptr || !question_.charged->contains(ask.counter)) add(candidate, std::move(ask));
      }
    }
    candidate.count = charges_.asks.size() - candidate.first;
    return candidate.count > 0;
  }

  void add(const Candidate& candidate, Ask ask) {
    ask.mode = candidate.mode;
    charges_.asks.push_back(std::move(ask));
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
               .limit = {.most = std::numeric_limits<std::int64_t>::max(), .period = rule.greylist->remember},
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
  Charges charges_;
};

}  // namespace

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
    if (value.empty()) return std::nullopt;
    append_part(key, std::move(value), info(fact.fact).kind, site);
  }
  return key;
}

std::optional<Key> key_from_text(const Rule& rule, std::string_view text, const Site& site) {
  Key key;
  for (const FactRef& fact : rule.per) {
    const bool last = &fact == &rule.per.back();
    const std::size_t end = text.find('|');
    if ((end == std::string_view::npos) != last) return std::nullopt;
    const std::string_view part = text.substr(0, end);
    if (part.empty()) return std::nullopt;
    append_part(key, std::string(part), info(fact.fact).kind, site);
    text.remove_prefix(last ? text.size() : end + 1);
  }
  return text.empty() ? std::optional(std::move(key)) : std::nullopt;
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
  if (limit.unit == Unit::distinct_recipients && facts.recipient != nullptr)
    ask.member = value_text({Fact::recipient, ""}, facts);
  name_counter(ask, rule, what, key);
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

Charges charges_for(const Policy& policy, const Facts& facts, const Question& question) {
  return Walk(policy, facts, question).run();
}

}  // namespace replygate

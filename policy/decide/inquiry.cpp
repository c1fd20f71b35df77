#include "policy/decide/inquiry.h"

#include <algorithm>
#include <utility>

#include "policy/decide/outcomes.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"
#include "policy/rules/key_map.h"
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

bool in_share(const Rule& rule, const Key* key) {
  if (rule.share == Rule::kWhole) return true;
  return key != nullptr &&
         static_cast<std::int64_t>(stable_hash(rule.name + key->identity) % Rule::kWhole) < rule.share;
}

constexpr char kEnd = '\x1f';  // in no rule's name
constexpr std::string_view kEscalate = "escalate\x1f";
constexpr std::string_view kWhole = "whole\x1f";

// Names the counter of an ask, and what it was called under the former name of the rule. `append_what` appends what is
// counted.
template <typename What>
void name_counter(Ask& ask, const Rule& rule, const What& append_what, const Key& key) {
  const auto under = [&](std::string& counter, std::string_view name) {
    counter = name;
    counter += kEnd;
    append_what(counter);
    counter += kEnd;
    counter += key.identity;
  };
  under(ask.counter, rule.name);
  if (rule.was.empty()) {
    ask.was.clear();
  } else {
    under(ask.was, rule.was);
  }
  ask.key_at = ask.counter.size() - key.identity.size();
}

// Whether the name that the ask still has differs from the one that it needs in the key alone.
bool names_limit(const Ask& ask, const Rule& rule, const Limit& limit) {
  const Limit& named = ask.limit;
  return ask.key_at > 0 && ask.purpose == Ask::Purpose::limit && ask.was.empty() && rule.was.empty() &&
         named.scope == Scope::window && limit.scope == Scope::window && named.unit == limit.unit &&
         named.period == limit.period && (named.burst > 0) == (limit.burst > 0) && ask.counter.starts_with(rule.name) &&
         ask.counter[rule.name.size()] == kEnd;
}

void name_key(Ask& ask, std::size_t key_at, const Key& key) {
  if (std::string_view(ask.counter).substr(key_at) != key.identity) {
    ask.counter.resize(key_at);
    ask.counter += key.identity;
  }
  ask.key_at = key_at;
}

void append_ready_part(Key& key, std::string_view value) {
  if (!key.identity.empty()) key.shown += kPartSeparator;
  append_shown_part(key.shown, value);
  key.identity += std::to_string(value.size());
  key.identity += ':';
  key.identity += value;
}

// What a part counts as; nothing where a live source has not said it.
std::optional<std::string> mapped_part(std::string part, const FactRef& fact, Answers* answers) {
  for (const auto& map : fact.maps) {
    auto name = map->of(part, answers);
    if (!name) return std::nullopt;
    part = *std::move(name);
  }
  return part;
}

// False where it is not known what the value counts as.
bool append_mapped(Key& key, std::string_view value, const FactRef& fact, const Facts& facts, const Site& site) {
  const auto part = mapped_part(key_part(std::string(value), fact.fact, site), fact, facts.answers);
  if (part) append_ready_part(key, *part);
  return part.has_value();
}

void append_part(Key& key, std::string_view value, const FactRef& fact, const Site& site) {
  if (is_key_part(value, fact.fact, site)) return append_ready_part(key, value);
  append_ready_part(key, key_part(std::string(value), fact.fact, site));
}

// Of a text what it is, without a copy; of others how they are written.
std::string_view part_of(const FactRef& fact, const Facts& facts, std::string& room) {
  const Value value = value_of(fact, facts);
  if (const auto* text = std::get_if<std::string_view>(&value)) return *text;
  room = format_value(info(fact.fact).kind, value);
  return room;
}

std::int64_t cost_of(const Limit& limit, const Facts& facts) {
  if (facts.transaction == nullptr) return 1;
  if (limit.unit == Unit::bytes) return facts.transaction->size;
  return limit.unit == Unit::recipients && facts.recipient == nullptr ? facts.transaction->recipients : 1;
}

class Walk {
 public:
  Walk(const Policy& policy, const Facts& facts, const Question& question, Inquiry& inquiry)
      : policy_(policy), facts_(facts), question_(question), inquiry_(inquiry) {}

  void run() {
    inquiry_.candidates.clear();
    inquiry_.asks.clear();
    policy_.index_at(question_.stage).each(facts_, [&](const Rule& rule) {
      if (rule.index >= question_.until_rule) return true;
      if (question_.mta_refused && !rule.needs(Fact::mta_refused)) return false;
      if ((rule.has_limits() && !question_.counters) || (rule.facts & question_.beyond) != 0) return false;
      return visit(rule);
    });
  }

 private:
  // True where the rule answers for certain.
  bool visit(const Rule& rule) {
    const Truth holds = holds_of(rule, facts_);
    if (holds == Truth::no) return false;
    Candidate candidate{.rule = &rule, .mode = rule.mode, .holds = holds, .first = inquiry_.asks.size()};
    if (holds == Truth::yes && !rule.per.empty()) {
      const KeyState state = find_key(rule, facts_, policy_.site(), inquiry_.key);
      const Key* key = state == KeyState::made ? &inquiry_.key : nullptr;
      if (state == KeyState::untold && (rule.has_limits() || rule.share != Rule::kWhole)) return untold(candidate);
      if (!in_share(rule, key)) candidate.mode = Mode::observe;
      if (rule.has_limits() && (key == nullptr || !add_asks(candidate, *key))) return false;
      if (candidate.holds == Truth::unknown) return untold(candidate);
      if (key != nullptr && question_.counters) add_escalations(candidate, *key);
    } else if (holds == Truth::yes && rule.has_limits() && !add_asks(candidate, Key())) {
      return false;
    }
    inquiry_.candidates.push_back(candidate);
    if (candidate.mode == Mode::observe || std::holds_alternative<Tag>(rule.outcome)) return false;
    if (question_.counting_only && rule.refuses()) return false;
    return holds == Truth::yes ? !rule.has_limits() : rule.on_unknown == OnUnknown::tempfail;
  }

  // A live source has not said what the rule compares.
  bool untold(Candidate& candidate) {
    const Rule& rule = *candidate.rule;
    candidate.holds = Truth::unknown;
    inquiry_.candidates.push_back(candidate);
    const bool goes_on = candidate.mode == Mode::observe || (question_.counting_only && rule.refuses());
    return !goes_on && rule.on_unknown == OnUnknown::tempfail;
  }

  // False where no limit applies: an exempt key, or everything charged before.
  bool add_asks(Candidate& candidate, const Key& key) {
    if (!question_.limits) return false;
    if (facts_.recipient != nullptr && is_postmaster(facts_.recipient->address, policy_.site())) return false;
    const Rule& rule = *candidate.rule;
    if (rule.greylist) {
      add_sightings(candidate, key);
    } else {
      const Limits* limits = limits_of(rule, key, facts_.answers, inquiry_.own);
      if (limits == nullptr) {
        candidate.holds = Truth::unknown;
        return true;
      }
      for (const Limit& limit : *limits) {
        const Limit now = raised(limit, policy_.raises(), rule.name, key.shown, facts_.now);
        Ask& ask = inquiry_.asks.next();
        fill_ask(ask, rule, now, key, facts_);
        ask.mode = candidate.mode;
        if (!still_to_compare(ask)) inquiry_.asks.pop_back();
        if (now.share > 0) add_whole(candidate, now, key);
      }
    }
    candidate.count = inquiry_.asks.size() - candidate.first;
    return candidate.count > 0;
  }

  void add_whole(const Candidate& candidate, const Limit& share, const Key& key) {
    Ask& whole = inquiry_.asks.next();
    fill_whole(whole, *candidate.rule, share, key, facts_);
    whole.mode = candidate.mode;
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

  void add(const Candidate& candidate, Ask&& ask) {
    ask.mode = candidate.mode;
    inquiry_.asks.next() = std::move(ask);
  }

  void add_sightings(const Candidate& candidate, const Key& key) {
    const Rule& rule = *candidate.rule;
    Ask sighting{.rule = &rule, .purpose = Ask::Purpose::sighting, .key = key.shown};
    name_counter(sighting, rule, [](std::string& counter) { counter += "greylist"; }, key);
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
    const auto what = [&passed](std::string& counter) { counter += "client/" + passed.limit.period_text(); };
    name_counter(passed, rule, what, of_client);
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
  Inquiry& inquiry_;
};

}  // namespace

std::string_view once_name(const Ask& ask) {
  if (ask.purpose != Ask::Purpose::limit) return "";
  if (ask.limit.unit == Unit::messages) return ask.counter;
  if (ask.limit.unit != Unit::connections) return {};
  return ask.rule->name;
}

bool is_postmaster(const Address& address, const Site& site) {
  return address.local() == "postmaster" && is_ours(site, address.domain());
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
  return find_key(rule, facts, site, key) == KeyState::made ? std::optional(std::move(key)) : std::nullopt;
}

KeyState find_key(const Rule& rule, const Facts& facts, const Site& site, Key& key) {
  key.shown.clear();
  key.identity.clear();
  std::string room;
  const Pool* pool = rule.pools.empty() ? nullptr : pool_of(rule, facts.connection);
  for (const FactRef& fact : rule.per) {
    std::string_view value =
        pool != nullptr && names_client(fact.fact) ? std::string_view(pool->name) : part_of(fact, facts, room);
    const bool bare_login = fact.fact == Fact::user_domain && facts.transaction != nullptr &&
                            !facts.transaction->user.empty() && value.empty();
    if (bare_login) value = site.login_domain;
    if (value.empty()) return KeyState::none;
    if (fact.maps.empty()) {
      append_part(key, value, fact, site);
    } else if (!append_mapped(key, value, fact, facts, site)) {
      return KeyState::untold;
    }
  }
  return KeyState::made;
}

std::optional<Key> key_from_text(const Rule& rule, std::string_view text, const Site& site) {
  if (rule.per.empty()) return text.empty() ? std::optional(Key()) : std::nullopt;
  const std::vector<std::string> parts = parts_of_key(text);
  if (parts.size() != rule.per.size()) return std::nullopt;
  Key key;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!rule.per[i].maps.empty()) {
      const std::string name = counted_name(parts[i]);
      if (name.empty()) return std::nullopt;
      append_ready_part(key, name);
      continue;
    }
    auto value = canonical_key_part(parts[i], rule.per[i].fact, site);
    if (!value && names_client(rule.per[i].fact) && is_pool(rule, parts[i])) value = parts[i];
    if (!value) return std::nullopt;
    append_part(key, *value, rule.per[i], site);
  }
  return key;
}

Ask ask_for(const Rule& rule, const Limit& limit, const Key& key, const Facts& facts) {
  Ask ask;
  fill_ask(ask, rule, limit, key, facts);
  return ask;
}

void fill_ask(Ask& ask, const Rule& rule, const Limit& limit, const Key& key, const Facts& facts) {
  const bool named = names_limit(ask, rule, limit);
  const std::size_t key_at = std::exchange(ask.key_at, 0);  // what fails on the way is named anew
  ask.rule = &rule;
  ask.mode = rule.mode;
  ask.purpose = Ask::Purpose::limit;
  ask.limit = limit;
  ask.key = key.shown;
  ask.cost = cost_of(limit, facts);
  ask.until = {};
  ask.uncharged = false;
  ask.own = 0;
  ask.member.clear();
  if (limit.unit == Unit::distinct_recipients && facts.recipient != nullptr) {
    const Address& address = facts.recipient->address;
    ask.member = address.bare.empty() ? address.full : address.bare;  // as in keys, without its tag
  }
  if (named) return name_key(ask, key_at, key);
  const auto what = [&](std::string& counter) {
    counter += to_string(limit.unit);
    counter += '/';
    counter += limit.period_text();
    if (limit.burst > 0) counter += " burst";
    if (limit.scope != Scope::calendar) return;
    const Zone::Span span = facts.local_zone().span(limit.calendar, facts.now);
    counter += ' ';
    counter += span.begin;
    ask.until = span.end;
  };
  name_counter(ask, rule, what, key);
}

// They are counted for each share, apart from limits of recipients.
void fill_whole(Ask& ask, const Rule& rule, const Limit& share, const Key& key, const Facts& facts) {
  Limit recipients{.most = kMostQuantity, .unit = Unit::recipients, .period = share.period};
  fill_ask(ask, rule, recipients, key, facts);
  ask.purpose = Ask::Purpose::whole;
  std::string of_share(kWhole);
  of_share += to_string(share.unit);
  of_share += kEnd;
  for (std::string* counter : {&ask.counter, &ask.was}) {
    if (!counter->empty()) counter->insert(0, of_share);
  }
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

void inquire(const Policy& policy, const Facts& facts, const Question& question, Inquiry& inquiry) {
  Walk(policy, facts, question, inquiry).run();
}

}  // namespace replygate

#include "policy/decide/outcomes.h"

#include <algorithm>

#include "policy/decide/inquiry.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostOutcomes = 1'000'000;  // of one key that are told apart

void add_keys(const Verdict& verdict, std::vector<OutcomeKey>& keys) {
  for (const LimitUse& use : verdict.limits) {
    if (!counts_outcomes(use.limit.unit)) continue;
    OutcomeKey key{use.rule->name, use.key};
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(std::move(key));
  }
}

bool counts_for(const Rule& rule, const OutcomeKey& key, const CountedOutcome& outcome) {
  if (rule.name != key.rule && (rule.was.empty() || rule.was != key.rule)) return false;
  return rule.counts(outcome.unit) && (!outcome.unmeant || rule.outcomes_of == OutcomesOf::all);
}

Charge charge_for(const Ask& ask, const CountedOutcome& outcome) {
  Charge charge = charge_of(ask, 0, true, false);
  charge.cost = 1;
  if (auto* distinct = std::get_if<Distinct>(&charge.measure)) distinct->full = charge.most;
  charge.most = std::max(charge.most, kMostOutcomes);  // also beyond the limit, which may be raised
  charge.warn_at = 0;
  charge.member = outcome.member;
  charge.local = false;  // what the shared store does not hear now it hears later
  return charge;
}

bool asks_for_outcomes(const Rule& rule) {
  return rule.needs(Fact::recipient_dead) ||
         std::ranges::any_of(kOutcomeUnits, [&rule](Unit unit) { return rule.counts(unit); });
}

}  // namespace

bool was_let_through(const Record& record, const JudgedRecipient& judged) {
  if (record.ending != Ending::accepted || judged.recipient.mta_refused) return false;
  return record.connection.local_submission || judged.verdict.kind != Verdict::Kind::refuse;
}

bool is_ours(const Record& record, const Recipient& recipient) {
  return recipient.external ? !*recipient.external : is_ours(record.policy->site(), recipient.address.domain());
}

bool is_ours(const Site& site, std::string_view domain) {
  return domain == site.default_domain || site.local_domains->contains(domain);
}

bool is_served(const Site& site, std::string_view address) {
  const std::string_view domain = address.substr(address.rfind('@') + 1);
  return is_ours(site, domain) || site.relay_domains->contains(domain);
}

std::vector<OutcomeKey> outcome_keys_of(const Record& record, const JudgedRecipient& judged) {
  std::vector<OutcomeKey> keys;
  if (!was_let_through(record, judged)) return keys;
  add_keys(judged.verdict, keys);
  add_keys(record.message, keys);
  return keys;
}

std::optional<Unit> unit_of(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::delivered: return Unit::deliveries;
    case OutcomeKind::deferred: return Unit::deferrals;
    case OutcomeKind::hard_bounce: return Unit::hard_bounces;
    case OutcomeKind::blocked: return Unit::blocked;
    case OutcomeKind::complaint: return Unit::complaints;
    case OutcomeKind::failed: break;
  }
  return std::nullopt;
}

bool asks_for_outcomes(const Policy& policy) {
  return std::ranges::any_of(policy.rules(), [](const Rule& rule) { return asks_for_outcomes(rule); });
}

bool depends_on_outcomes(const Policy& policy) {
  return std::ranges::any_of(policy.rules(),
                             [](const Rule& rule) { return rule.mode != Mode::observe && asks_for_outcomes(rule); });
}

bool counts_anywhere(const Policy& policy, const OutcomeKey& key, const CountedOutcome& outcome) {
  return std::ranges::any_of(policy.rules(), [&](const Rule& rule) { return counts_for(rule, key, outcome); });
}

std::vector<Charge> charges_of_outcome(const Policy& policy, const OutcomeKey& key, const CountedOutcome& outcome,
                                       Instant now) {
  std::vector<Charge> charges;
  for (const Rule& rule : policy.rules()) {
    if (!counts_for(rule, key, outcome)) continue;
    const auto counted = key_from_text(rule, key.key, policy.site());
    if (!counted) continue;
    for (const Ask& ask : asks_of_key(policy, rule, *counted, now)) {
      const bool meant = ask.purpose == Ask::Purpose::limit && ask.limit.unit == outcome.unit;
      if (meant && outcome.at + ask.limit.period > now) charges.push_back(charge_for(ask, outcome));
    }
  }
  return charges;
}

void count_outcome(MemoryStore& store, const Policy& policy, std::span<const OutcomeKey> keys,
                   const CountedOutcome& outcome, Instant now) {
  for (const OutcomeKey& key : keys) {
    const auto charges = charges_of_outcome(policy, key, outcome, now);
    if (!charges.empty()) store.take_now(charges, false, now);
  }
}

}  // namespace replygate

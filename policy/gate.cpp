#include "policy/gate.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "policy/count/aftermath.h"

namespace replygate {

// One decision under way.
struct Gate::Case {
  const Policy& policy;
  Facts facts;
  Question question;
  Tally& tally;
  Instant now;
  std::string ref;
  Charges charges;
  std::vector<std::optional<Reading>> readings;  // one for each ask
  std::vector<std::size_t> asked;                // the asks that went to the store
  Gate::Done done;
};

namespace {

// A connection is counted for good as soon as it is let in: it has no end that could refuse it.
bool settled_later(const Ask& ask) { return ask.rule->count == Count::accepted && ask.limit.unit != Unit::connections; }

bool counts_even_if_full(const Ask& ask, const Question& question) {
  return ask.rule->count == Count::attempts || question.counting_only;
}

// What is compared alone: it is counted when it happens.
bool reads_alone(const Ask& ask) { return ask.purpose == Ask::Purpose::limit && counts_events(ask.limit.unit); }

// Rules that do not stop the mail must not keep others from counting it.
bool may_refuse(const Ask& ask) { return ask.mode == Mode::enforce && ask.rule->refuses(); }

std::string member_counter(const Ask& ask) { return ask.counter + '\x1f' + ask.member; }

Reading local_reading(const Ask& ask, const Tally& tally) {
  const std::int64_t used = tally.used(ask.counter);
  const bool again = !ask.member.empty() && tally.used(member_counter(ask)) > 0;
  const std::int64_t cost = again ? 0 : ask.cost;
  return {.used = used, .cost = cost, .fits = used + cost <= ask.limit.most, .room_at = std::nullopt};
}

void count_local(Tally& tally, const Ask& ask, std::int64_t cost, bool final) {
  tally.add(ask.counter, ask.limit.scope, cost, final);
  if (!ask.member.empty()) tally.add(member_counter(ask), ask.limit.scope, 1, final);
}

// The cost of one more is compared, and not charged.
Charge store_charge(const Ask& ask, const Question& question) {
  const auto group = may_refuse(ask) ? 0 : static_cast<std::uint32_t>(ask.rule->index + 1);
  Charge charge = charge_of(ask, group, counts_even_if_full(ask, question), settled_later(ask));
  if (reads_alone(ask)) {
    charge.cost = 0;
    charge.most -= ask.cost;
  }
  return charge;
}

// False where a refusal is certain before the store is asked.
bool may_pass(const Charges& charges, const std::vector<std::optional<Reading>>& readings) {
  if (!charges.candidates.empty()) {
    const Candidate& last = charges.candidates.back();
    const bool refuses = last.holds == Truth::unknown
                             ? last.rule->on_unknown == OnUnknown::tempfail && last.mode == Mode::enforce
                             : last.count == 0 && last.rule->refuses() && last.mode == Mode::enforce;
    if (refuses) return false;
  }
  for (std::size_t i = 0; i < charges.asks.size(); ++i) {
    if (may_refuse(charges.asks[i]) && readings[i] && !readings[i]->fits) return false;
  }
  return true;
}

// Whether all limits of the ask's rule had room.
bool rule_fits(const Charges& charges, const std::vector<std::optional<Reading>>& readings, const Rule& rule) {
  for (std::size_t i = 0; i < charges.asks.size(); ++i) {
    if (charges.asks[i].rule == &rule && !(readings[i] && readings[i]->fits)) return false;
  }
  return true;
}

}  // namespace

// The decision is told once all that it causes is counted.
void Gate::count_aftermath(const std::shared_ptr<Case>& shared, Judgement judgement) {
  Case& c = *shared;
  std::vector<Charge> charges;
  for (const Ask& ask : asks_after(c.policy, c.facts, c.question, c.charges, c.readings, judgement.verdict)) {
    if (ask.limit.in_store()) {
      charges.push_back(charge_of(ask, 0, true, false));
      charges.back().warn_at = 0;
    } else {
      c.tally.add(ask.counter, ask.limit.scope, 1, true);
    }
  }
  if (charges.empty()) return c.done(std::move(judgement));
  store_.take(std::move(charges), false, c.now,
              [shared, told = std::move(judgement)](const Readings&) mutable { shared->done(std::move(told)); });
}

void Gate::finish(const std::shared_ptr<Case>& shared, Readings answer) {
  Case& c = *shared;
  for (std::size_t i = 0; i < answer.readings.size(); ++i) {
    std::optional<Reading>& reading = c.readings[c.asked[i]];
    reading = answer.readings[i];
    if (reading && reads_alone(c.charges.asks[c.asked[i]])) reading->cost = c.charges.asks[c.asked[i]].cost;
  }
  Judgement judgement{.verdict = decide(c.facts, c.charges, c.readings, {c.now, c.ref}),
                      .reservation = answer.reservation,
                      .message_counters = {}};
  judgement.verdict.evicted = answer.evicted;
  if (witness_ != nullptr) {
    witness_->judged(c.policy, c.facts, c.question, c.charges, c.readings, judgement.verdict);
  }
  const bool passes = judgement.verdict.kind != Verdict::Kind::refuse || c.question.counting_only;
  for (std::size_t i = 0; i < c.charges.asks.size(); ++i) {
    const Ask& ask = c.charges.asks[i];
    if (ask.purpose != Ask::Purpose::limit || reads_alone(ask)) continue;
    const bool forced = counts_even_if_full(ask, c.question);
    if (!ask.limit.in_store()) {
      const bool admitted = passes && (may_refuse(ask) || rule_fits(c.charges, c.readings, *ask.rule));
      if (admitted || forced) count_local(c.tally, ask, c.readings[i]->cost, !settled_later(ask));
    }
    const bool charged = (c.readings[i] && c.readings[i]->fits) || forced;
    if (passes && charged && ask.limit.unit == Unit::messages) judgement.message_counters.push_back(ask.counter);
  }
  if (!passes) store_.settle({std::exchange(judgement.reservation, 0)}, Settlement::give_back, c.now, [] {});
  count_aftermath(shared, std::move(judgement));
}

void Gate::judge(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment,
                 Done done) {
  if (policy.rules_at(question.stage).empty() && !question.mta_refused) return done({});
  const auto shared = std::make_shared<Case>(Case{.policy = policy,
                                                  .facts = facts,
                                                  .question = question,
                                                  .tally = tally,
                                                  .now = moment.now,
                                                  .ref = std::string(moment.ref),
                                                  .charges = charges_for(policy, facts, question),
                                                  .readings = {},
                                                  .asked = {},
                                                  .done = std::move(done)});
  Case& c = *shared;
  c.readings.resize(c.charges.asks.size());
  std::vector<Charge> charges;
  for (std::size_t i = 0; i < c.charges.asks.size(); ++i) {
    const Ask& ask = c.charges.asks[i];
    if (ask.limit.in_store()) {
      c.asked.push_back(i);
      charges.push_back(store_charge(ask, question));
    } else {
      c.readings[i] = local_reading(ask, tally);
    }
  }
  if (charges.empty()) return finish(shared, {});
  const bool admit = may_pass(c.charges, c.readings);
  store_.take(std::move(charges), admit, moment.now,
              [this, shared](Readings answer) { finish(shared, std::move(answer)); });
}

}  // namespace replygate

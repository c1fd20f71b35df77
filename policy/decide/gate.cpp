#include "policy/decide/gate.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "policy/decide/aftermath.h"

namespace replygate {

// One decision under way.
struct Gate::Case {
  const Policy& policy;
  Facts facts;
  Question question;
  Tally& tally;
  Instant now;
  std::string ref;
  Inquiry inquiry;
  std::vector<std::optional<Reading>> readings;  // one for each ask
  std::vector<std::size_t> asked;                // the asks that went to the store
  Gate::Done done;
  bool again = false;        // asked anew, without what stands behind a limit that has let the mail pass
  std::vector<bool> warned;  // the first time
  std::int64_t evicted = 0;
};

namespace {

constexpr std::uint32_t kNoGroup = std::numeric_limits<std::uint32_t>::max();  // is read alone, and keeps nobody out

bool counts_even_if_full(const Ask& ask, const Question& question) {
  return ask.rule->count == Count::attempts || (question.counting_only && !question.mta_refused);
}

// Rules that do not stop the mail must not keep others from counting it.
bool may_refuse(const Ask& ask) { return ask.mode == Mode::enforce && ask.rule->refuses(); }

// A connection has no end that could refuse it: it is counted for good once it is let in.
bool is_final(const Ask& ask) { return ask.rule->count == Count::attempts || ask.limit.unit == Unit::connections; }

bool compares(const Ask& ask) { return ask.purpose == Ask::Purpose::limit; }

// Whether its limit, where it is full, ends the decision without a refusal.
bool may_accept(const Candidate& candidate) {
  const Rule& rule = *candidate.rule;
  return candidate.mode == Mode::enforce && candidate.count > 0 && !rule.refuses() &&
         !std::holds_alternative<Tag>(rule.outcome);
}

// Where another rule may still refuse what this one counts, or keep it from being asked, that is settled with the
// decision.
bool is_reserved(const Ask& ask, const Inquiry& inquiry) {
  if (!is_final(ask)) return true;
  return ask.rule->count == Count::accepted &&
         (!may_refuse(ask) || std::ranges::any_of(inquiry.candidates, may_accept));
}

// Whether it stands behind the rule whose limit has let the mail pass, and counts only what passes it.
bool is_cut(const Ask& ask, const Verdict& verdict) {
  return verdict.accepted_by != nullptr && ask.rule->index > verdict.accepted_by->index;
}

std::string member_counter(const Ask& ask) { return ask.counter + '\x1f' + ask.member; }

Reading local_reading(const Ask& ask, const Tally& tally) {
  const std::int64_t used = tally.used(ask.counter) - ask.own;
  const bool again = !ask.member.empty() && tally.used(member_counter(ask)) > 0;
  const std::int64_t cost = again ? 0 : ask.cost;
  return {.used = used, .cost = cost, .fits = used + cost <= ask.limit.most, .room_at = std::nullopt};
}

void count_local(Tally& tally, const Ask& ask, std::int64_t cost) {
  tally.add(ask.counter, ask.limit.scope, cost, is_final(ask));
  if (!ask.member.empty()) tally.add(member_counter(ask), ask.limit.scope, 1, is_final(ask));
}

std::uint32_t group_of(const Ask& ask) {
  if (ask.purpose == Ask::Purpose::escalation || ask.purpose == Ask::Purpose::client) return kNoGroup;
  return may_refuse(ask) ? 0 : static_cast<std::uint32_t>(ask.rule->index + 1);
}

// Of what reads alone the cost of one more is compared, and not charged.
Charge store_charge(const Ask& ask, const Question& question, const Inquiry& inquiry) {
  Charge charge = charge_of(ask, group_of(ask), counts_even_if_full(ask, question), is_reserved(ask, inquiry));
  if (ask.reads_alone()) {
    charge.cost = 0;
    charge.most -= ask.cost - ask.own;
    charge.again = ask.own;
  }
  return charge;
}

// The reading of such a charge as if it had been charged.
void restore_cost(const Ask& ask, Reading& reading) {
  if (!ask.reads_alone()) return;
  reading.cost = ask.cost;
  reading.used -= ask.own;
}

// False where a refusal is certain before the store is asked.
bool may_pass(const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings) {
  if (!inquiry.candidates.empty()) {
    const Candidate& last = inquiry.candidates.back();
    const bool refuses = last.holds == Truth::unknown
                             ? last.rule->on_unknown == OnUnknown::tempfail && last.mode == Mode::enforce
                             : last.count == 0 && last.rule->refuses() && last.mode == Mode::enforce;
    if (refuses) return false;
  }
  for (std::size_t i = 0; i < inquiry.asks.size(); ++i) {
    if (may_refuse(inquiry.asks[i]) && readings[i] && !readings[i]->fits) return false;
  }
  return true;
}

// Whether a limit that needs no store leaves no room to a rule that cannot refuse, so that its others charge nothing.
bool keeps_out_beside(const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings, const Ask& ask) {
  if (may_refuse(ask) || !compares(ask)) return false;
  for (std::size_t i = 0; i < inquiry.asks.size(); ++i) {
    if (inquiry.asks[i].rule == ask.rule && readings[i] && !readings[i]->fits) return true;
  }
  return false;
}

// To be counted whatever it makes of a limit; what needs no store is counted at once.
std::vector<Charge> charges_of(const std::vector<Ask>& asks, Tally& tally) {
  std::vector<Charge> charges;
  for (const Ask& ask : asks) {
    if (ask.limit.in_store()) {
      charges.push_back(charge_of(ask, 0, true, false));
      charges.back().warn_at = 0;
    } else {
      tally.add(ask.counter, ask.limit.scope, 1, true);
    }
  }
  return charges;
}

// Whether all limits of the ask's rule had room.
bool rule_fits(const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings, const Rule& rule) {
  for (std::size_t i = 0; i < inquiry.asks.size(); ++i) {
    const Ask& ask = inquiry.asks[i];
    if (ask.rule == &rule && compares(ask) && !(readings[i] && readings[i]->fits)) return false;
  }
  return true;
}

}  // namespace

// What the decision charges besides the counters of the store, and what it will not charge again.
void Gate::count(Case& c, const Verdict& verdict, std::vector<CountedOnce>& counted) {
  const bool refuses = verdict.kind == Verdict::Kind::refuse && !c.question.counting_only;
  const bool passes = !refuses && !c.question.mta_refused;
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    const Ask& ask = c.inquiry.asks[i];
    if (!compares(ask) || !c.readings[i] || counts_events(ask.limit.unit)) continue;
    const bool admitted =
        passes && !is_cut(ask, verdict) && (may_refuse(ask) || rule_fits(c.inquiry, c.readings, *ask.rule));
    const bool forced = counts_even_if_full(ask, c.question);
    if (!ask.limit.in_store() && !ask.uncharged && (admitted || forced)) {
      count_local(c.tally, ask, c.readings[i]->cost);
    }
    if (!admitted && !forced) continue;
    const std::string_view name = once_name(ask);
    if (name.empty()) continue;
    const bool had_room = c.readings[i]->fits || c.question.counting_only;
    counted.push_back({ask.limit.unit, std::string(name), had_room});
    if (!had_room && name != ask.counter && !ask.uncharged) counted.push_back({ask.limit.unit, ask.counter, false});
  }
}

// What fails behind a reservation, down to the session's own part, leaves nothing reserved.
void Gate::hear(const std::shared_ptr<Case>& shared, Readings answer) {
  const ReservationId held = answer.reservation;
  const Instant now = shared->now;
  try {
    finish(shared, std::move(answer));
  } catch (...) {
    if (held != 0) give_back({&held, &held + 1}, now);
    throw;
  }
}

void Gate::keep(std::vector<ReservationId> ids, Instant now, const Store::Settled& done) {
  try {
    return store_.settle(ids, Settlement::keep, now, done);
  } catch (...) {
    give_back(ids, now);
    throw;
  }
}

// A store that fails once does not again; what it goes on to hold then ends as what a host had reserved that died.
void Gate::give_back(std::span<const ReservationId> ids, Instant now) noexcept {
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      return store_.settle({ids.begin(), ids.end()}, Settlement::give_back, now, [] {});
    } catch (...) {
      continue;
    }
  }
}

void Gate::finish(const std::shared_ptr<Case>& shared, Readings answer) {
  Case& c = *shared;
  for (std::size_t i = 0; i < answer.readings.size(); ++i) {
    std::optional<Reading>& reading = c.readings[c.asked[i]];
    reading = answer.readings[i];
    if (!reading) continue;
    restore_cost(c.inquiry.asks[c.asked[i]], *reading);
    reading->warn |= c.again && c.warned[c.asked[i]];
  }
  c.evicted += answer.evicted;
  Judgement judgement{.verdict = decide(c.facts, c.inquiry, c.readings, {c.now, c.ref}),
                      .reservation = answer.reservation,
                      .counted = {}};
  judgement.verdict.evicted = c.evicted;
  if (must_ask_anew(c, judgement.verdict)) return take_anew(shared, judgement);
  if (witness_ != nullptr) {
    witness_->judged(c.policy, c.facts, c.question, c.inquiry, c.readings, judgement.verdict);
  }
  count(c, judgement.verdict, judgement.counted);
  if (judgement.verdict.kind == Verdict::Kind::refuse && !c.question.counting_only) {
    store_.settle({std::exchange(judgement.reservation, 0)}, Settlement::give_back, c.now, [] {});
  }
  auto passing = charges_of(asks_of_passing(c.inquiry, c.readings), c.tally);
  if (passing.empty()) return c.done(std::move(judgement));
  store_.take(std::move(passing), false, c.now,
              [shared, told = std::move(judgement)](const Readings&) mutable { shared->done(std::move(told)); });
}

// What stands behind a limit that has let the mail pass was asked with it: it may have kept the others from being
// charged, or be charged itself.
bool Gate::must_ask_anew(const Case& c, const Verdict& verdict) {
  if (c.again || c.question.counting_only || c.question.mta_refused || verdict.accepted_by == nullptr) return false;
  return verdict.accepted_by->has_limits() && c.inquiry.candidates.back().rule != verdict.accepted_by;
}

void Gate::take_anew(const std::shared_ptr<Case>& shared, const Judgement& first) {
  Case& c = *shared;
  c.again = true;
  c.warned.resize(c.readings.size());
  store_.settle({first.reservation}, Settlement::give_back, c.now, [] {});
  std::vector<Charge> charges;
  c.asked.clear();
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    const Ask& ask = c.inquiry.asks[i];
    const bool once_more = ask.limit.in_store() && compares(ask) && !counts_even_if_full(ask, c.question) &&
                           ask.rule->index < first.verdict.accepted_by->index;
    if (!once_more) continue;
    c.asked.push_back(i);
    c.warned[i] = c.readings[i] && c.readings[i]->warn;
    c.readings[i].reset();
    charges.push_back(store_charge(ask, c.question, c.inquiry));
  }
  if (charges.empty()) return finish(shared, {});
  store_.take(std::move(charges), true, c.now, [this, shared](Readings answer) { hear(shared, std::move(answer)); });
}

void Gate::replied(const Policy& policy, const Facts& facts, const Question& question, const Verdict& verdict,
                   Tally& tally, const std::function<void()>& done) {
  auto charges = charges_of(asks_of_reply(policy, facts, question, verdict), tally);
  if (charges.empty()) return done();
  if (question.counters) return store_.take(std::move(charges), false, facts.now, [done](const Readings&) { done(); });
  store_.take(std::move(charges), false, facts.now, [](const Readings&) {});
  done();
}

void Gate::step_reached(const Policy& policy, const Facts& facts, const Rule& rule, const Reached& done) {
  const auto key = key_of(rule, facts, policy.site());
  if (!key) return done(std::nullopt);
  std::vector<Charge> charges;
  for (const Escalation& step : rule.escalate) {
    charges.push_back(charge_of(escalation_ask(rule, step, *key, facts), kNoGroup, false, false));
  }
  store_.take(std::move(charges), false, facts.now, [&rule, done](const Readings& told) {
    std::size_t reached = 0;
    for (std::size_t i = 0; i < told.readings.size(); ++i) {
      if (told.readings[i] && told.readings[i]->used >= rule.escalate[i].after.most) reached = i + 1;
    }
    done(told.readings.empty() ? std::nullopt : std::optional(reached));
  });
}

void Gate::judge(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment,
                 Done done) {
  if (policy.rules_at(question.stage).empty()) return done({});
  const auto shared = std::make_shared<Case>(Case{.policy = policy,
                                                  .facts = facts,
                                                  .question = question,
                                                  .tally = tally,
                                                  .now = moment.now,
                                                  .ref = std::string(moment.ref),
                                                  .inquiry = inquiry_for(policy, facts, question),
                                                  .readings = {},
                                                  .asked = {},
                                                  .done = std::move(done)});
  Case& c = *shared;
  c.readings.resize(c.inquiry.asks.size());
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    if (!c.inquiry.asks[i].limit.in_store()) c.readings[i] = local_reading(c.inquiry.asks[i], tally);
  }
  std::vector<Charge> charges;
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    Ask& ask = c.inquiry.asks[i];
    if (!ask.limit.in_store()) continue;
    if (!counts_even_if_full(ask, question) && keeps_out_beside(c.inquiry, c.readings, ask)) ask.uncharged = true;
    c.asked.push_back(i);
    charges.push_back(store_charge(ask, question, c.inquiry));
  }
  if (charges.empty()) return finish(shared, {});
  const bool admit = may_pass(c.inquiry, c.readings) && !question.mta_refused;
  store_.take(std::move(charges), admit, moment.now,
              [this, shared](Readings answer) { hear(shared, std::move(answer)); });
}

}  // namespace replygate

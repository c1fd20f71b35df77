#include "policy/decide/gate.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "policy/decide/aftermath.h"
#include "policy/decide/fetch.h"
#include "policy/decide/gate_asks.h"
#include "policy/decide/gate_case.h"
#include "policy/decide/shares.h"

namespace replygate {
namespace {

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
  return ask.rule->count != Count::attempts &&
         (!may_refuse(ask) || std::ranges::any_of(inquiry.candidates, may_accept) ||
          std::ranges::any_of(inquiry.asks, is_share));
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

// Of what reads alone the cost of one more is compared, and not charged.
void fill_store_charge(Charge& charge, const Ask& ask, const Question& question, const Inquiry& inquiry) {
  const bool even_if_full = counts_even_if_full(ask, question) || (counts_whole(ask) && !question.mta_refused);
  fill_charge(charge, ask, group_of(ask), even_if_full, is_reserved(ask, inquiry));
  if (!ask.reads_alone()) return;
  charge.cost = 0;
  charge.most -= ask.cost - ask.own;
  charge.again = ask.own;
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
  if (may_refuse(ask) || !compares(ask) || counts_whole(ask)) return false;
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

// With count = "admitted" what had room counts although a rule behind it refuses.
bool counts_though_refused(const Ask& ask, const Verdict& verdict, const Inquiry& inquiry,
                           const std::vector<std::optional<Reading>>& readings) {
  return verdict.kind == Verdict::Kind::refuse && verdict.refusal && ask.rule->count == Count::admitted &&
         compares(ask) && ask.rule->index < verdict.refusal->rule->index && rule_fits(inquiry, readings, *ask.rule);
}

bool all_have_room(const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings, std::uint32_t group) {
  for (std::size_t i = 0; i < inquiry.asks.size(); ++i) {
    if (group_of(inquiry.asks[i]) == group && !(readings[i] && readings[i]->fits)) return false;
  }
  return true;
}

}  // namespace

// Of what counts though it is refused, what the store has not charged.
std::vector<Ask> Gate::uncounted_of_refusal(const Case& c, const Verdict& verdict) {
  std::vector<Ask> result;
  if (c.question.counting_only || c.question.mta_refused) return result;
  for (const Ask& ask : c.inquiry.asks) {
    if (!ask.limit.in_store() || ask.uncharged || !counts_though_refused(ask, verdict, c.inquiry, c.readings)) continue;
    const bool charged = c.admit && all_have_room(c.inquiry, c.readings, group_of(ask));
    // What was reserved has been given back.
    if (!charged || is_reserved(ask, c.inquiry)) result.push_back(ask);
  }
  return result;
}

// What the decision charges besides the counters of the store, and what it will not charge again.
void Gate::count(Case& c, const Verdict& verdict, std::vector<CountedOnce>& counted) {
  const bool refuses = verdict.kind == Verdict::Kind::refuse && !c.question.counting_only;
  const bool passes = !refuses && !c.question.mta_refused;
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    const Ask& ask = c.inquiry.asks[i];
    if (!compares(ask) || !c.readings[i] || counts_events(ask.limit.unit)) continue;
    const bool admitted = (passes && !is_cut(ask, verdict) &&
                           (may_refuse(ask) || counts_whole(ask) || rule_fits(c.inquiry, c.readings, *ask.rule))) ||
                          (refuses && counts_though_refused(ask, verdict, c.inquiry, c.readings));
    const bool forced = counts_even_if_full(ask, c.question);
    if (!ask.limit.in_store() && !ask.uncharged && (admitted || forced)) {
      count_local(*c.tally, ask, c.readings[i]->cost);
    }
    if (!admitted && !forced) continue;
    const std::string_view name = once_name(ask);
    if (name.empty()) continue;
    const bool had_room = c.readings[i]->fits || c.question.counting_only;
    counted.push_back({ask.limit.unit, std::string(name), had_room});
    if (!had_room && name != ask.counter && !ask.uncharged) counted.push_back({ask.limit.unit, ask.counter, false});
  }
}

Gate::Gate(Store& store, Witness* witness, Lookups* lookups)
    : store_(store), witness_(witness), lookups_(lookups), cases_(std::make_shared<Cases>()) {}

Gate::~Gate() = default;

// What fails behind a reservation, down to the session's own part, leaves nothing reserved.
void Gate::hear(const Holder& held, const Readings& answer) {
  const ReservationId reserved = answer.reservation;
  const Instant now = held->now;
  try {
    finish(held, answer);
  } catch (...) {
    if (reserved != 0) give_back({&reserved, 1}, now);
    throw;
  }
}

// The store may go on with charges that nobody waits for any more.
void Gate::ask(const Holder& held, bool admit) {
  Case& c = *held;
  c.admit = admit;
  if (c.charges.empty()) return finish(held, {});
  if (store_.take_at_once(c.charged(), admit, c.now, c.answer)) return hear(held, c.answer);
  store_.take({c.charges.begin(), c.charges.end()}, admit, c.now,
              [this, held](const Readings& answer) { hear(held, answer); });
}

bool Gate::keep_at_once(std::span<const ReservationId> ids, Instant now) try {
  return store_.settle_at_once(ids, Settlement::keep, now);
} catch (...) {
  give_back(ids, now);
  throw;
}

void Gate::keep_in_time(std::span<const ReservationId> ids, Instant now,
                        const std::function<Store::Settled()>& done) try {
  store_.settle({ids.begin(), ids.end()}, Settlement::keep, now, done());
} catch (...) {
  give_back(ids, now);
  throw;
}

void Gate::give_back_or_throw(std::span<const ReservationId> ids, Instant now) {
  if (store_.settle_at_once(ids, Settlement::give_back, now)) return;
  store_.settle({ids.begin(), ids.end()}, Settlement::give_back, now, [] {});
}

// A store that fails once does not again; what it goes on to hold then ends as what a host had reserved that died.
void Gate::give_back(std::span<const ReservationId> ids, Instant now) noexcept {
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      return give_back_or_throw(ids, now);
    } catch (...) {
      continue;
    }
  }
}

void Gate::finish(const Holder& held, const Readings& answer) {
  Case& c = *held;
  for (std::size_t i = 0; i < answer.readings.size(); ++i) {
    std::optional<Reading>& reading = c.readings[c.asked[i]];
    reading = answer.readings[i];
    if (!reading) continue;
    restore_cost(c.inquiry.asks[c.asked[i]], *reading);
    reading->warn |= c.again && c.warned[c.asked[i]];
  }
  judge_shares(c.inquiry, c.readings);
  c.evicted += answer.evicted;
  Judgement judgement{.verdict = decide(*c.facts, c.inquiry, c.readings, {c.now, c.ref}),
                      .reservation = answer.reservation,
                      .counted = {}};
  judgement.verdict.evicted = c.evicted;
  if (must_ask_anew(c, judgement.verdict)) return take_anew(held, judgement);
  if (witness_ != nullptr) {
    witness_->judged(*c.policy, *c.facts, c.question, c.inquiry, c.readings, judgement.verdict);
  }
  count(c, judgement.verdict, judgement.counted);
  if (judgement.verdict.kind == Verdict::Kind::refuse && !c.question.counting_only) {
    const ReservationId reserved = std::exchange(judgement.reservation, 0);
    give_back_or_throw({&reserved, 1}, c.now);
  }
  auto late = charges_of(asks_of_passing(c.inquiry, c.readings), *c.tally);
  auto refused = charges_of(uncounted_of_refusal(c, judgement.verdict), *c.tally);
  late.insert(late.end(), std::make_move_iterator(refused.begin()), std::make_move_iterator(refused.end()));
  if (late.empty()) return c.done(std::move(judgement));
  store_.take(std::move(late), false, c.now,
              [held, told = std::move(judgement)](const Readings&) mutable { held->done(std::move(told)); });
}

// What stands behind a limit that has let the mail pass was asked with it: it may have kept the others from being
// charged, or be charged itself.
bool Gate::must_ask_anew(const Case& c, const Verdict& verdict) {
  if (c.again || c.question.counting_only || c.question.mta_refused || verdict.accepted_by == nullptr) return false;
  return verdict.accepted_by->has_limits() && c.inquiry.candidates.back().rule != verdict.accepted_by;
}

void Gate::take_anew(const Holder& held, const Judgement& first) {
  Case& c = *held;
  c.again = true;
  c.warned.assign(c.readings.size(), false);
  give_back_or_throw({&first.reservation, 1}, c.now);
  c.asked.clear();
  c.charges.clear();
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    const Ask& ask = c.inquiry.asks[i];
    const bool once_more = ask.limit.in_store() && compares(ask) && !counts_even_if_full(ask, c.question) &&
                           (ask.rule->index < first.verdict.accepted_by->index ||
                            (ask.rule == first.verdict.accepted_by && counts_whole(ask)));
    if (!once_more) continue;
    c.asked.push_back(i);
    c.warned[i] = c.readings[i] && c.readings[i]->warn;
    c.readings[i].reset();
    fill_store_charge(c.charges.next(), ask, c.question, c.inquiry);
  }
  this->ask(held, true);
}

void Gate::replied(const Policy& policy, const Facts& facts, const Question& question, const Verdict& verdict,
                   Tally& tally, const std::function<void()>& done) {
  std::vector<Ask> asks = asks_of_reply(policy, facts, question, verdict);
  while (facts.answers != nullptr && !facts.answers->all_told() && question.counters) {
    if (!tell_known(*facts.answers, lookups_)) {
      return ask_wanted(*facts.answers, *lookups_, [this, &policy, facts, question, verdict, &tally, done] {
        replied(policy, facts, question, verdict, tally, done);
      });
    }
    asks = asks_of_reply(policy, facts, question, verdict);
  }
  auto charges = charges_of(asks, tally);
  if (charges.empty()) return done();
  if (question.counters) return store_.take(std::move(charges), false, facts.now, [done](const Readings&) { done(); });
  store_.take(std::move(charges), false, facts.now, [](const Readings&) {});
  done();
}

void Gate::step_reached(const Policy& policy, const Facts& facts, const Rule& rule, const Reached& done) {
  auto key = key_of(rule, facts, policy.site());
  while (!key && facts.answers != nullptr && !facts.answers->all_told()) {
    if (!tell_known(*facts.answers, lookups_)) {
      return ask_wanted(*facts.answers, *lookups_,
                        [this, &policy, facts, &rule, done] { step_reached(policy, facts, rule, done); });
    }
    key = key_of(rule, facts, policy.site());
  }
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

Gate::Holder Gate::begin(const Policy& policy, const Facts& facts, const Question& question, Tally& tally,
                         const Moment& moment) {
  Holder held = Cases::take(cases_);
  Case& c = *held;
  c.policy = &policy;
  c.facts.emplace(facts);
  c.question = question;
  c.tally = &tally;
  c.now = moment.now;
  c.ref = moment.ref;
  c.asked.clear();
  c.charges.clear();
  return held;
}

void Gate::judge(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment,
                 Done done) {
  if (policy.rules_at(question.stage).empty()) return done({});
  const Holder held = begin(policy, facts, question, tally, moment);
  held->done = std::move(done);
  look_up(held);
}

// As long as live sources have something to say that decides. What they are asked for depends on what they have said.
void Gate::look_up(const Holder& held) {
  Case& c = *held;
  for (;;) {
    inquire(*c.policy, *c.facts, c.question, c.inquiry);
    Answers* answers = c.facts->answers;
    if (answers == nullptr || answers->all_told()) return charge(held);
    if (!tell_known(*answers, lookups_)) {
      return ask_wanted(*answers, *lookups_, [this, held] { look_up(held); });
    }
  }
}

void Gate::charge(const Holder& held) {
  Case& c = *held;
  const Question& question = c.question;
  Tally& tally = *c.tally;
  c.readings.assign(c.inquiry.asks.size(), std::nullopt);
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    if (!c.inquiry.asks[i].limit.in_store()) c.readings[i] = local_reading(c.inquiry.asks[i], tally);
  }
  for (std::size_t i = 0; i < c.inquiry.asks.size(); ++i) {
    Ask& ask = c.inquiry.asks[i];
    if (!ask.limit.in_store()) continue;
    if (!counts_even_if_full(ask, question) && keeps_out_beside(c.inquiry, c.readings, ask)) ask.uncharged = true;
    c.asked.push_back(i);
    fill_store_charge(c.charges.next(), ask, question, c.inquiry);
  }
  ask(held, may_pass(c.inquiry, c.readings) && !question.mta_refused);
}

}  // namespace replygate

#include "policy/gate.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace replygate {
namespace {

// One decision under way.
struct Case {
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

bool enforced(const Rule& rule) { return rule.mode == Mode::enforce; }

// A connection is counted for good as soon as it is let in: it has no end that could refuse it.
bool settled_later(const Ask& ask) { return ask.rule->count == Count::accepted && ask.limit.unit != Unit::connections; }

bool counts_even_if_full(const Ask& ask, const Question& question) {
  return ask.rule->count == Count::attempts || question.counting_only;
}

Reading local_reading(const Ask& ask, const Tally& tally) {
  const std::int64_t used = tally.used(ask.counter);
  return {.used = used, .fits = used + ask.cost <= ask.limit.most, .room_at = std::nullopt};
}

Charge charge_of(const Ask& ask, const Question& question) {
  return {.counter = ask.counter,
          .period = ask.limit.period,
          .most = ask.limit.most,
          .cost = ask.cost,
          .group = enforced(*ask.rule) ? 0 : static_cast<std::uint32_t>(ask.rule->index + 1),
          .even_if_full = counts_even_if_full(ask, question),
          .reserve = settled_later(ask)};
}

// False where a refusal is certain before the store is asked.
bool may_pass(const Case& c) {
  if (!c.charges.candidates.empty()) {
    const Candidate& last = c.charges.candidates.back();
    const bool answers = last.holds == Truth::unknown ? last.rule->on_unknown == OnUnknown::tempfail : last.count == 0;
    const bool accepts = last.holds == Truth::yes && std::holds_alternative<Accept>(last.rule->outcome);
    if (answers && !accepts && enforced(*last.rule)) return false;
  }
  for (std::size_t i = 0; i < c.charges.asks.size(); ++i) {
    if (enforced(*c.charges.asks[i].rule) && c.readings[i] && !c.readings[i]->fits) return false;
  }
  return true;
}

// Whether all limits of the ask's rule had room.
bool rule_fits(const Case& c, const Rule& rule) {
  for (std::size_t i = 0; i < c.charges.asks.size(); ++i) {
    if (c.charges.asks[i].rule == &rule && !(c.readings[i] && c.readings[i]->fits)) return false;
  }
  return true;
}

void count_locally(Case& c, bool passes) {
  for (const Ask& ask : c.charges.asks) {
    if (ask.limit.scope == Scope::window) continue;
    const bool admitted = passes && (enforced(*ask.rule) || rule_fits(c, *ask.rule));
    if (admitted || counts_even_if_full(ask, c.question)) {
      c.tally.add(ask.counter, ask.limit.scope, ask.cost, !settled_later(ask));
    }
  }
}

void finish(Store& store, Case& c, Readings answer) {
  if (answer.available) {
    for (std::size_t i = 0; i < c.asked.size(); ++i) c.readings[c.asked[i]] = answer.readings[i];
  }
  Judgement judgement{.verdict = decide(c.facts, c.charges, c.readings, {c.now, c.ref}),
                      .reservation = answer.reservation,
                      .message_counters = {}};
  const bool passes = judgement.verdict.kind != Verdict::Kind::refuse || c.question.counting_only;
  count_locally(c, passes);
  if (!passes) {
    store.settle(std::exchange(judgement.reservation, 0), Settlement::give_back, c.now);
  } else {
    for (std::size_t i = 0; i < c.charges.asks.size(); ++i) {
      const Ask& ask = c.charges.asks[i];
      const bool charged = (c.readings[i] && c.readings[i]->fits) || counts_even_if_full(ask, c.question);
      if (charged && ask.limit.unit == Unit::messages) judgement.message_counters.push_back(ask.counter);
    }
  }
  c.done(std::move(judgement));
}

}  // namespace

void Gate::judge(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment,
                 Done done) {
  if (policy.rules_at(question.stage).empty()) return done({});
  Case c{.facts = facts,
         .question = question,
         .tally = tally,
         .now = moment.now,
         .ref = std::string(moment.ref),
         .charges = charges_for(policy, facts, question),
         .readings = {},
         .asked = {},
         .done = std::move(done)};
  c.readings.resize(c.charges.asks.size());
  std::vector<Charge> charges;
  for (std::size_t i = 0; i < c.charges.asks.size(); ++i) {
    const Ask& ask = c.charges.asks[i];
    if (ask.limit.scope == Scope::window) {
      c.asked.push_back(i);
      charges.push_back(charge_of(ask, question));
    } else {
      c.readings[i] = local_reading(ask, tally);
    }
  }
  if (charges.empty()) return finish(store_, c, {.available = true, .readings = {}, .reservation = 0});
  const bool admit = may_pass(c);
  const auto shared = std::make_shared<Case>(std::move(c));
  store_.take(std::move(charges), admit, moment.now, patience_,
              [&store = store_, shared](Readings answer) { finish(store, *shared, std::move(answer)); });
}

}  // namespace replygate

#include "policy/decide/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using std::chrono::ceil;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Rounded up, since it is for people: to the coarsest unit that makes it no more than `late` too long.
Duration rounded(Duration wait, Duration late) {
  wait = std::max<Duration>(wait, seconds(1));
  const Duration coarse = wait <= minutes(2) ? Duration(seconds(1))
                          : wait <= hours(2) ? Duration(minutes(1))
                                             : hours(1);
  for (const Duration unit : {Duration(hours(1)), Duration(minutes(1))}) {
    const Duration whole = (wait + unit - Duration(1)) / unit * unit;
    if (unit <= coarse && whole - wait <= late) return whole;
  }
  return ceil<seconds>(wait);
}

Duration nominal(Calendar period) {
  switch (period) {
    case Calendar::day: return hours(24);
    case Calendar::week: return hours(7 * 24);
    case Calendar::month: break;
  }
  return hours(28 * 24);
}

// Nobody waits longer than a window lasts: room comes back in hundredths of it, and by then the last is near its end.
// But where it is counted whoever comes too early, too, the hundredth is waited for, else each retry makes the next
// one late.
Duration longest_wait(const LimitUse& use) {
  const Duration period = use.limit.period;
  return use.rule->count == Count::attempts ? ceil<seconds>(period + period / 100) : period;
}

std::string wait_text(const LimitUse& use, Instant now) {
  if (!use.limit.in_store()) return "another " + use.limit.period_text();
  const bool window = use.limit.scope == Scope::window;
  const Duration period = window ? use.limit.period : nominal(use.limit.calendar);
  const Duration wait = use.room_at ? *use.room_at - now : std::min<Duration>(period, minutes(5));
  const Duration told = rounded(wait, period / 100);
  return format_duration(window && use.limit.burst == 0 ? std::min(told, longest_wait(use)) : told);
}

std::string wait_text(const SightingUse& use, Instant now) {
  const Duration delay = use.rule->greylist->delay;
  return format_duration(std::min(rounded(use.room_at.value_or(now) - now, Duration::max()), delay));
}

// The words of a text, and the texts that they stand for.
struct Filled {
  Filled(const Rule& rule, const LimitUse* use, std::string_view wait, std::string_view ref)
      : limit(use == nullptr ? "" : use->limit.text()),
        used(use == nullptr ? "" : std::to_string(use->used)),
        words{.rule = rule.name, .limit = limit, .used = used, .retry_after = wait, .ref = ref} {}
  Filled(const Filled&) = delete;
  Filled& operator=(const Filled&) = delete;

  std::string limit;
  std::string used;
  Words words;
};

// Octets that an MTA may put in front of the text: Sendmail names the address for these three codes.
std::size_t reserve_for(int code, const Facts& facts) {
  if (code != 450 && code != 550 && code != 553) return 0;
  if (facts.recipient != nullptr) return facts.recipient->raw.size() + 6;
  return facts.transaction != nullptr ? facts.transaction->sender_raw.size() + 6 : 0;
}

class Decider {
 public:
  Decider(const Facts& facts, const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings,
          const Moment& moment, Verdict& verdict)
      : facts_(facts), inquiry_(inquiry), readings_(readings), moment_(moment), verdict_(verdict) {}

  void run() {
    for (const Candidate& candidate : inquiry_.candidates) {
      if (visit(candidate)) break;
    }
  }

 private:
  bool visit(const Candidate& candidate) {
    const Rule& rule = *candidate.rule;
    if (candidate.holds == Truth::unknown) return unknown(candidate, rule.on_unknown == OnUnknown::skip);
    if (candidate.count == 0) return answer(candidate, nullptr, "");
    for (std::size_t i = candidate.first; i < candidate.first + candidate.count; ++i) {
      if (readings_[i]) continue;
      verdict_.unread.push_back(&rule);
      return unknown(candidate, rule.on_store_error == OnStoreError::accept);
    }
    return rule.greylist ? visit_greylist(candidate) : visit_limits(candidate);
  }

  bool visit_limits(const Candidate& candidate) {
    const std::size_t first_use = verdict_.limits.size();
    if (first_use == 0) verdict_.limits.reserve(inquiry_.asks.size());
    for (std::size_t i = candidate.first; i < candidate.first + candidate.count; ++i) {
      const Ask& ask = inquiry_.asks[i];
      const Reading& reading = *readings_[i];
      if (ask.purpose == Ask::Purpose::whole) {
        verdict_.limits.back().of = reading.used;
        continue;
      }
      verdict_.limits.push_back({.rule = candidate.rule,
                                 .limit = ask.limit,
                                 .key = ask.key,
                                 .used = reading.used,
                                 .cost = reading.cost,
                                 .fits = reading.fits,
                                 .room_at = reading.room_at,
                                 .warn = reading.warn,
                                 .local = reading.local});
    }
    const LimitUse* full = worst(first_use);
    if (full != nullptr) return answer(candidate, full, wait_text(slowest(*full, first_use), moment_.now));
    if (candidate.rule->refuses()) add_headers(candidate, &verdict_.limits[first_use], "");
    return false;
  }

  bool visit_greylist(const Candidate& candidate) {
    const Reading& seen = *readings_[candidate.first];
    SightingUse use{.rule = candidate.rule,
                    .key = inquiry_.asks[candidate.first].key,
                    .state = seen.sighting,
                    .room_at = seen.room_at};
    if (candidate.count > 1) {
      use.client_known = readings_[candidate.first + 1]->used >= candidate.rule->greylist->after;
    }
    use.passes = use.client_known || seen.fits;
    const bool passes = use.passes;
    const std::string wait = wait_text(use, moment_.now);
    verdict_.sightings.push_back(std::move(use));
    if (!passes) return answer(candidate, nullptr, wait);
    if (candidate.rule->refuses()) add_headers(candidate, nullptr, "");
    return false;
  }

  // The limit without room that takes longest to have it again.
  const LimitUse* worst(std::size_t first) const {
    const LimitUse* result = nullptr;
    for (std::size_t i = first; i < verdict_.limits.size(); ++i) {
      const LimitUse& use = verdict_.limits[i];
      if (use.fits) continue;
      if (never(use)) return &use;
      if (result == nullptr || use.room_at.value_or(Instant::max()) > result->room_at.value_or(Instant::max())) {
        result = &use;
      }
    }
    return result;
  }

  // An attempt may have taken the last room of a limit that it fitted in.
  const LimitUse& slowest(const LimitUse& full, std::size_t first) const {
    const LimitUse* result = &full;
    if (!full.limit.in_store() || !full.room_at) return full;
    for (std::size_t i = first; i < verdict_.limits.size(); ++i) {
      const LimitUse& use = verdict_.limits[i];
      if (use.fits && use.limit.in_store() && use.room_at > result->room_at) result = &use;
    }
    return *result;
  }

  // Of a limit of 0 not even what is counted already, and costs nothing more.
  static bool never(const LimitUse& use) { return use.cost > use.limit.depth() || use.limit.depth() == 0; }

  bool answer(const Candidate& candidate, const LimitUse* full, const std::string& wait) {
    const Rule& rule = *candidate.rule;
    if (rule.refuses()) {
      Finding said = said_at(candidate, step_of(candidate), full, wait);
      if (candidate.escalations > 0 && rule.stage <= Stage::mail) {
        said.rungs.push_back(said_at(candidate, nullptr, full, wait));
        for (const Escalation& step : rule.escalate) said.rungs.push_back(said_at(candidate, &step, full, wait));
      }
      return refuse(candidate, std::move(said));
    }
    if (candidate.mode == Mode::observe) {
      const bool acts = std::holds_alternative<Hold>(rule.outcome) || std::holds_alternative<Discard>(rule.outcome);
      if (acts) verdict_.observed_actions.push_back(&rule);
      return false;
    }
    add_headers(candidate, full, wait);
    if (std::holds_alternative<Tag>(rule.outcome)) return false;
    verdict_.kind = Verdict::Kind::accept;
    verdict_.accepted_by = &rule;
    return true;
  }

  bool refuse(const Candidate& candidate, Finding&& finding) {
    if (candidate.mode == Mode::observe) {
      verdict_.observed.push_back(std::move(finding));
      return false;
    }
    verdict_.kind = Verdict::Kind::refuse;
    verdict_.refusal = std::move(finding);
    return true;
  }

  bool unknown(const Candidate& candidate, bool skip) {
    const Rule& rule = *candidate.rule;
    verdict_.unknown.push_back(&rule);
    if (skip || std::holds_alternative<Tag>(rule.outcome)) return false;
    const Classification& error = *find_classification("local-error");
    const std::string text(error.text);
    return refuse(candidate, {.rule = &rule,
                              .cause = Finding::Cause::unknown,
                              .classification = &error,
                              .reply = Reply::make(error.code, error.enhanced, {&text, 1}).value(),
                              .rungs = {}});
  }

  void add_headers(const Candidate& candidate, const LimitUse* use, std::string_view wait) {
    if (candidate.rule->headers.empty() || candidate.mode == Mode::observe) return;
    const Filled filled(*candidate.rule, use, wait, moment_.ref);
    for (const AddedHeader& header : candidate.rule->headers) {
      verdict_.headers.push_back({header.name, without_controls(header.value.render(facts_, filled.words).front())});
    }
  }

  // The last step of escalation that the key has reached; null for none.
  const Escalation* step_of(const Candidate& candidate) const {
    const Escalation* reached = nullptr;
    const std::size_t first = candidate.first + candidate.count;
    for (std::size_t i = 0; i < candidate.escalations; ++i) {
      const auto& reading = readings_[first + i];
      const Escalation& step = candidate.rule->escalate[i];
      if (reading && reading->used >= step.after.most) reached = &step;
    }
    return reached;
  }

  Finding said_at(const Candidate& candidate, const Escalation* step, const LimitUse* full,
                  std::string_view wait) const {
    if (full != nullptr && never(*full)) return never_fits(candidate, step, *full);
    return finding(candidate, step, full, wait);
  }

  Finding finding(const Candidate& candidate, const Escalation* step, const LimitUse* full,
                  std::string_view wait) const {
    const Rule& rule = *candidate.rule;
    const ReplySpec& spec = step != nullptr ? step->reply : std::get<ReplySpec>(rule.outcome);
    const Filled filled(rule, full, wait.empty() ? "a while" : wait, moment_.ref);
    return {.rule = &rule,
            .cause = full == nullptr ? Finding::Cause::rule : Finding::Cause::limit,
            .step = step,
            .classification = spec.classification,
            .reply = make(spec.code, spec.enhanced, spec.text.render(facts_, filled.words)),
            .rungs = {}};
  }

  // A cost beyond the whole limit will never have room: a soft bounce would be retried for days in vain. A step of
  // escalation is what the policy wants to be said to this key.
  Finding never_fits(const Candidate& candidate, const Escalation* step, const LimitUse& full) const {
    Finding result = finding(candidate, step, &full, "a while");
    result.cause = Finding::Cause::never_fits;
    if (result.step != nullptr || result.reply.severity() == Severity::permanent) return result;
    const bool bytes = full.limit.unit == Unit::bytes;
    result.classification = find_classification(bytes ? "message-too-big" : "access-denied");
    const std::string text =
        bytes ? fmt::format("Message of {} bytes can never fit the limit of {}", full.cost, full.limit.text())
              : fmt::format("Refused for good: the limit is {}", full.limit.text());
    result.reply = make(result.classification->code, result.classification->enhanced, {text});
    return result;
  }

  Reply make(int code, EnhancedCode enhanced, const std::vector<std::string>& lines) const {
    return Reply::make(code, enhanced, lines, reserve_for(code, facts_)).value();
  }

  const Facts& facts_;
  const Inquiry& inquiry_;
  const std::vector<std::optional<Reading>>& readings_;
  const Moment& moment_;
  Verdict& verdict_;
};

}  // namespace

void merge(Verdict& verdict, Verdict&& later) {
  const auto append = [](auto& to, auto&& from) {
    if (from.empty()) return;
    if (to.empty()) to.swap(from);
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(verdict.observed, std::move(later.observed));
  append(verdict.unknown, std::move(later.unknown));
  append(verdict.unread, std::move(later.unread));
  append(verdict.limits, std::move(later.limits));
  append(verdict.sightings, std::move(later.sightings));
  append(verdict.observed_actions, std::move(later.observed_actions));
  append(verdict.headers, std::move(later.headers));
  verdict.evicted += later.evicted;
  if (later.kind == Verdict::Kind::pass) return;
  verdict.kind = later.kind;
  verdict.accepted_by = later.accepted_by;
  verdict.refusal = std::move(later.refusal);
}

std::size_t octets_of(const Verdict& verdict) {
  constexpr std::size_t kBlock = 32;  // what the allocator adds, and a text's own octets where they are few
  std::size_t octets =
      (verdict.unknown.size() + verdict.unread.size() + verdict.observed_actions.size()) * sizeof(const Rule*);
  const auto of = [](const Finding& said) { return (1 + said.rungs.size()) * (sizeof(Finding) + Reply::kMostOctets); };
  for (const Finding& said : verdict.observed) octets += of(said);
  octets += verdict.refusal ? of(*verdict.refusal) : 0;
  for (const LimitUse& use : verdict.limits) octets += sizeof use + use.key.size() + kBlock;
  for (const SightingUse& use : verdict.sightings) octets += sizeof use + use.key.size() + kBlock;
  for (const Header& header : verdict.headers) octets += sizeof header + header.name.size() + header.value.size();
  return octets;
}

void leave_room(Finding& finding, const Facts& facts) {
  const Reply& reply = finding.reply;
  finding.reply = Reply::make(reply.code(), reply.enhanced(), reply.lines(), reserve_for(reply.code(), facts)).value();
}

std::vector<std::string> fill(const ReplyTemplate& text, const LimitUse& use, const Facts& facts,
                              const Moment& moment) {
  const std::string wait = wait_text(use, moment.now);
  return text.render(facts, Filled(*use.rule, &use, wait, moment.ref).words);
}

Verdict decide(const Facts& facts, const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings,
               const Moment& moment) {
  Verdict verdict;
  Decider(facts, inquiry, readings, moment, verdict).run();
  return verdict;
}

}  // namespace replygate

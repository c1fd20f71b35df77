#include "policy/decide.h"

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

// Rounded up to two units at the most, since it is for people.
std::string wait_until(const std::optional<Instant>& room_at, Instant now, Duration otherwise) {
  const Duration wait = room_at ? *room_at - now : otherwise;
  if (wait <= minutes(2)) return format_duration(ceil<seconds>(std::max<Duration>(wait, seconds(1))));
  return format_duration(wait <= hours(2) ? Duration(ceil<minutes>(wait)) : Duration(ceil<hours>(wait)));
}

std::string wait_text(const LimitUse& use, Instant now) {
  if (!use.limit.in_store()) return "another " + use.limit.period_text();
  const bool window = use.limit.scope == Scope::window;
  return wait_until(use.room_at, now, window ? std::min<Duration>(use.limit.period, minutes(5)) : minutes(5));
}

// What clients send is data: it must not begin another header field.
std::string one_line(std::string text) {
  std::ranges::replace_if(text, is_control, '?');
  return text;
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
  Decider(const Facts& facts, const Charges& charges, const std::vector<std::optional<Reading>>& readings,
          const Moment& moment)
      : facts_(facts), charges_(charges), readings_(readings), moment_(moment) {}

  Verdict run() {
    for (const Candidate& candidate : charges_.candidates) {
      if (visit(candidate)) break;
    }
    return std::move(verdict_);
  }

 private:
  bool visit(const Candidate& candidate) {
    const Rule& rule = *candidate.rule;
    if (candidate.holds == Truth::unknown) return unknown(candidate, rule.on_unknown == OnUnknown::skip);
    if (candidate.count == 0) return answer(candidate, nullptr, "");
    for (std::size_t i = candidate.first; i < candidate.first + candidate.count; ++i) {
      if (!readings_[i]) return unknown(candidate, rule.on_store_error == OnStoreError::accept);
    }
    return rule.greylist ? visit_greylist(candidate) : visit_limits(candidate);
  }

  bool visit_limits(const Candidate& candidate) {
    const std::size_t first_use = verdict_.limits.size();
    for (std::size_t i = candidate.first; i < candidate.first + candidate.count; ++i) {
      const Ask& ask = charges_.asks[i];
      const Reading& reading = *readings_[i];
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
    if (full != nullptr) return answer(candidate, full, wait_text(*full, moment_.now));
    if (candidate.rule->refuses()) add_headers(candidate, &verdict_.limits[first_use], "");
    return false;
  }

  bool visit_greylist(const Candidate& candidate) {
    const Reading& seen = *readings_[candidate.first];
    SightingUse use{.rule = candidate.rule,
                    .key = charges_.asks[candidate.first].key,
                    .state = seen.sighting,
                    .room_at = seen.room_at};
    if (candidate.count > 1) {
      use.client_known = readings_[candidate.first + 1]->used >= candidate.rule->greylist->after;
    }
    use.passes = use.client_known || seen.fits;
    const bool passes = use.passes;
    const std::string wait = wait_until(use.room_at, moment_.now, std::chrono::minutes(5));
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

  static bool never(const LimitUse& use) { return use.cost > use.limit.depth(); }

  bool answer(const Candidate& candidate, const LimitUse* full, const std::string& wait) {
    const Rule& rule = *candidate.rule;
    if (rule.refuses()) {
      const bool for_good = full != nullptr && never(*full);
      return refuse(candidate, for_good ? never_fits(candidate, *full) : finding(candidate, full, wait));
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

  bool refuse(const Candidate& candidate, Finding finding) {
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
                              .reply = Reply::make(error.code, error.enhanced, {&text, 1}).value()});
  }

  void add_headers(const Candidate& candidate, const LimitUse* use, std::string_view wait) {
    if (candidate.rule->headers.empty() || candidate.mode == Mode::observe) return;
    const Filled filled(*candidate.rule, use, wait, moment_.ref);
    for (const AddedHeader& header : candidate.rule->headers) {
      verdict_.headers.push_back({header.name, one_line(header.value.render(facts_, filled.words).front())});
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

  Finding finding(const Candidate& candidate, const LimitUse* full, std::string_view wait) const {
    const Rule& rule = *candidate.rule;
    const Escalation* step = step_of(candidate);
    const ReplySpec& spec = step != nullptr ? step->reply : std::get<ReplySpec>(rule.outcome);
    const Filled filled(rule, full, wait.empty() ? "a while" : wait, moment_.ref);
    return {.rule = &rule,
            .cause = full == nullptr ? Finding::Cause::rule : Finding::Cause::limit,
            .step = step,
            .classification = spec.classification,
            .reply = make(spec.code, spec.enhanced, spec.text.render(facts_, filled.words))};
  }

  // A cost beyond the whole limit will never have room: a soft bounce would be retried for days in vain.
  Finding never_fits(const Candidate& candidate, const LimitUse& full) const {
    Finding result = finding(candidate, &full, "a while");
    result.cause = Finding::Cause::never_fits;
    if (result.reply.severity() == Severity::permanent) return result;
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
  const Charges& charges_;
  const std::vector<std::optional<Reading>>& readings_;
  const Moment& moment_;
  Verdict verdict_;
};

}  // namespace

void merge(Verdict& verdict, Verdict&& later) {
  const auto append = [](auto& to, auto&& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(verdict.observed, std::move(later.observed));
  append(verdict.unknown, std::move(later.unknown));
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

Verdict decide(const Facts& facts, const Charges& charges, const std::vector<std::optional<Reading>>& readings,
               const Moment& moment) {
  return Decider(facts, charges, readings, moment).run();
}

}  // namespace replygate

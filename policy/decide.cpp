#include "policy/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

using std::chrono::ceil;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Rounded up to two units at the most, since it is for people.
std::string wait_text(const LimitUse& use, Instant now) {
  if (use.limit.scope != Scope::window) return "another " + use.limit.period_text();
  const Duration wait = use.room_at ? *use.room_at - now : std::min<Duration>(use.limit.period, minutes(5));
  if (wait <= minutes(2)) return format_duration(ceil<seconds>(std::max<Duration>(wait, seconds(1))));
  return format_duration(wait <= hours(2) ? Duration(ceil<minutes>(wait)) : Duration(ceil<hours>(wait)));
}

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
    if (candidate.holds == Truth::unknown) return unknown(rule);
    if (candidate.count == 0) return answer(rule, nullptr);
    const std::size_t first_use = verdict_.limits.size();
    for (std::size_t i = candidate.first; i < candidate.first + candidate.count; ++i) {
      if (!readings_[i]) return unknown(rule);
      const Ask& ask = charges_.asks[i];
      verdict_.limits.push_back({.rule = &rule,
                                 .limit = ask.limit,
                                 .key = ask.key,
                                 .used = readings_[i]->used,
                                 .cost = ask.cost,
                                 .fits = readings_[i]->fits,
                                 .room_at = readings_[i]->room_at});
    }
    const LimitUse* full = worst(first_use);
    return full != nullptr && answer(rule, full);
  }

  // The limit without room that takes longest to have it again.
  const LimitUse* worst(std::size_t first) const {
    const LimitUse* result = nullptr;
    for (std::size_t i = first; i < verdict_.limits.size(); ++i) {
      const LimitUse& use = verdict_.limits[i];
      if (use.fits) continue;
      if (use.cost > use.limit.most) return &use;
      if (result == nullptr || use.room_at.value_or(Instant::max()) > result->room_at.value_or(Instant::max())) {
        result = &use;
      }
    }
    return result;
  }

  bool answer(const Rule& rule, const LimitUse* full) {
    if (std::holds_alternative<Accept>(rule.outcome)) {
      if (rule.mode == Mode::observe) return false;
      verdict_.kind = Verdict::Kind::accept;
      verdict_.accepted_by = &rule;
      return true;
    }
    return refuse(full != nullptr && full->cost > full->limit.most ? never_fits(rule, *full) : finding(rule, full));
  }

  bool refuse(Finding finding) {
    if (finding.rule->mode == Mode::observe) {
      verdict_.observed.push_back(std::move(finding));
      return false;
    }
    verdict_.kind = Verdict::Kind::refuse;
    verdict_.refusal = std::move(finding);
    return true;
  }

  bool unknown(const Rule& rule) {
    verdict_.unknown.push_back(&rule);
    if (rule.on_unknown == OnUnknown::skip) return false;
    const Classification& error = *find_classification("local-error");
    const std::string text(error.text);
    return refuse({.rule = &rule,
                   .cause = Finding::Cause::unknown,
                   .classification = &error,
                   .reply = Reply::make(error.code, error.enhanced, {&text, 1}).value()});
  }

  Finding finding(const Rule& rule, const LimitUse* full) const {
    const auto& spec = std::get<ReplySpec>(rule.outcome);
    const std::string limit = full == nullptr ? "" : full->limit.text();
    const std::string used = full == nullptr ? "" : std::to_string(full->used);
    const std::string wait = full == nullptr ? "a while" : wait_text(*full, moment_.now);
    const Words words{.rule = rule.name, .limit = limit, .used = used, .retry_after = wait, .ref = moment_.ref};
    return {.rule = &rule,
            .cause = full == nullptr ? Finding::Cause::rule : Finding::Cause::limit,
            .classification = spec.classification,
            .reply = make(spec.code, spec.enhanced, spec.text.render(facts_, words))};
  }

  // A cost beyond the whole limit will never have room: a soft bounce would be retried for days in vain.
  Finding never_fits(const Rule& rule, const LimitUse& full) const {
    Finding result = finding(rule, &full);
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

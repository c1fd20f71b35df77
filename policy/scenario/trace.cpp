#include "policy/scenario/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/decide/record_fields.h"
#include "policy/mail/quantity.h"

namespace replygate {
namespace {

Trace::Compared compare(const Condition& c, bool when, const Facts& facts) {
  std::string value = value_text(c.fact, facts);
  const Truth truth = holds(c, facts);
  if (truth == Truth::unknown) value = "(unknown)";
  if (value.empty()) value = "(empty)";
  return {fmt::format("{} {} = {}", when ? "when" : "unless", c.fact.text(), c.source), std::move(value), truth};
}

// What keeps a rule from holding, or else all that makes it hold.
std::vector<Trace::Compared> compared(const Rule& rule, const Facts& facts) {
  std::vector<Trace::Compared> all;
  for (const Condition& c : rule.when) {
    all.push_back(compare(c, true, facts));
    if (all.back().truth == Truth::no) return {all.back()};
  }
  for (const Condition& c : rule.unless) {
    all.push_back(compare(c, false, facts));
    if (all.back().truth == Truth::yes) return {all.back()};
  }
  return all;
}

std::string amount(const Limit& limit, std::int64_t value) {
  return limit.unit == Unit::bytes ? format_size(value) : std::to_string(value);
}

std::string comparison_of(const LimitUse& use) {
  if (use.limit.share > 0) {
    return fmt::format("{} of {} recipients, {} {}", use.used, use.of, use.fits ? "within" : "reaches",
                       use.limit.text());
  }
  return fmt::format("{} used + {} {} {}", amount(use.limit, use.used), amount(use.limit, use.cost),
                     use.fits ? "<=" : ">", use.limit.text());
}

Trace::Counter counter_of(const LimitUse& use) {
  std::string text = fmt::format("{}{}{}", use.key, use.key.empty() ? "" : ": ", comparison_of(use));
  if (!use.fits && use.room_at) text += fmt::format("; room at {}", detail::format_time(*use.room_at));
  if (use.warn) text += "; warning";
  return {std::move(text), use.fits};
}

Trace::Counter counter_of(const SightingUse& use) {
  constexpr std::array<std::string_view, 4> states = {"seen for the first time", "seen before, too early",
                                                      "seen before, long enough ago", "known"};
  std::string text = fmt::format(
      "{}: {}", use.key, use.client_known ? "the client is known" : states[static_cast<std::size_t>(use.state)]);
  if (!use.passes && use.room_at) text += fmt::format("; passes from {}", detail::format_time(*use.room_at));
  return {std::move(text), use.passes};
}

class Maker {
 public:
  Maker(const Policy& policy, const Facts& facts, const Question& question, const Inquiry& inquiry,
        const Verdict& verdict)
      : policy_(policy), facts_(facts), question_(question), inquiry_(inquiry), verdict_(verdict) {}

  Trace make() {
    Trace trace{.stage = question_.stage, .recipient = "", .steps = {}, .answer = ""};
    if (facts_.recipient != nullptr) trace.recipient = facts_.recipient->raw;
    for (const Rule* rule : policy_.rules_at(question_.stage)) {
      trace.steps.push_back(step(*rule));
      if (trace.steps.back().answers) break;
    }
    if (verdict_.refusal) {
      trace.answer = verdict_.refusal->reply.one_line();
    } else if (verdict_.accepted_by != nullptr) {
      trace.answer = fmt::format("let through by {}", verdict_.accepted_by->name);
    }
    return trace;
  }

 private:
  Trace::Step step(const Rule& rule) const {
    Trace::Step s{.rule = rule.name, .place = rule.place.text()};
    if (rule.index >= question_.until_rule) {
      s.note = "not asked: an earlier rule has let the message through";
      return s;
    }
    if (question_.mta_refused && !rule.needs(Fact::mta_refused)) {
      s.note = "not asked: the MTA has refused the recipient";
      return s;
    }
    s.holds = holds_of(rule, facts_);
    s.compared = compared(rule, facts_);
    const auto candidate = std::ranges::find(inquiry_.candidates, &rule, &Candidate::rule);
    if (candidate == inquiry_.candidates.end()) {
      if (s.holds == Truth::yes) s.note = why_not(rule);
      return s;
    }
    s.observed = candidate->mode == Mode::observe;
    if (s.observed && rule.mode == Mode::enforce) s.note = "observed: the key is not in the share";
    for (const LimitUse& use : verdict_.limits) {
      if (use.rule == &rule) s.counters.push_back(counter_of(use));
    }
    for (const SightingUse& use : verdict_.sightings) {
      if (use.rule == &rule) s.counters.push_back(counter_of(use));
    }
    s.answers = (verdict_.refusal && verdict_.refusal->rule == &rule) || verdict_.accepted_by == &rule;
    return s;
  }

  std::string why_not(const Rule& rule) const {
    const auto key = key_of(rule, facts_, policy_.site());
    Limits own;
    if (!key) return "no key: a fact of per is empty";
    if (rule.has_limits() && is_for_postmaster()) return "no limit refuses postmaster";
    const Limits* limits = limits_of(rule, *key, facts_.answers, own);
    if (rule.has_limits() && !rule.greylist && limits != nullptr && limits->empty()) {
      return fmt::format("{} is exempt", key->shown);
    }
    return rule.has_limits() ? "nothing to count here" : "an earlier rule answers";
  }

  bool is_for_postmaster() const {
    if (!question_.limits) return true;
    return facts_.recipient != nullptr && is_postmaster(facts_.recipient->address, policy_.site());
  }

  const Policy& policy_;
  const Facts& facts_;
  const Question& question_;
  const Inquiry& inquiry_;
  const Verdict& verdict_;
};

}  // namespace

std::string_view to_string(Truth truth) {
  constexpr std::array<std::string_view, 3> names = {"no", "yes", "unknown"};
  return names[static_cast<std::size_t>(truth)];
}

void Tracer::judged(const Policy& policy, const Facts& facts, const Question& question, const Inquiry& inquiry,
                    const std::vector<std::optional<Reading>>&, const Verdict& verdict) {
  Trace trace = Maker(policy, facts, question, inquiry, verdict).make();
  if (!trace.steps.empty()) traces_.push_back(std::move(trace));
}

std::string text_of(const Trace& trace) {
  std::string text =
      fmt::format("{}{}{}\n", to_string(trace.stage), trace.recipient.empty() ? "" : " ", trace.recipient);
  for (const Trace::Step& s : trace.steps) {
    const std::string_view state = s.answers               ? "answers"
                                   : s.holds == Truth::yes ? "holds"
                                   : s.holds == Truth::no  ? "does not hold"
                                                           : "cannot be judged";
    text += fmt::format("  {:<28} {:<18} {}{}\n", s.rule, s.place, s.note.starts_with("not asked") ? "" : state,
                        s.observed ? " (observed)" : "");
    for (const auto& c : s.compared)
      text += fmt::format("      {}: {} -> {}\n", c.condition, c.value, to_string(c.truth));
    for (const auto& c : s.counters) text += fmt::format("      {}{}\n", c.text, c.fits ? "" : "  <- no room");
    if (!s.note.empty()) text += fmt::format("      {}\n", s.note);
  }
  text += fmt::format("  => {}\n", trace.answer.empty() ? "go on" : trace.answer);
  return text;
}

}  // namespace replygate

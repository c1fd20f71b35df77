#include "milter/serve/statistics.h"

#include <algorithm>

#include "policy/decide/record_summary.h"

namespace replygate {
namespace {

constexpr std::size_t kMostRefusals = 300;
constexpr std::size_t kMostObserved = 150;
constexpr std::size_t kMostRules = 80;
constexpr std::string_view kOther = "(other)";
constexpr std::chrono::minutes kSpan{5};

std::int64_t span_of(Instant now) { return now.time_since_epoch() / kSpan; }

// Forgets what is older than the span before this one.
void enter(Statistics::RuleUse& use, std::int64_t span) {
  if (span == use.span) return;
  use.fullest = {0, span == use.span + 1 ? use.fullest[0] : 0};
  use.span = span;
}

}  // namespace

void Statistics::hear(Rendering& rendering) {
  const Record& r = rendering.record();
  const std::lock_guard lock(mutex_);
  ++figures_.transactions[std::string(to_string(r.ending))];
  hear(r.message, r);
  for (const JudgedRecipient& judged : r.recipients) {
    hear(judged.verdict, r);
    const bool refused = refusal_of(r, &judged) != nullptr || refusal_of(r, nullptr) != nullptr;
    ++figures_.recipients[judged.recipient.mta_refused ? "mta-refused" : refused ? "refused" : "passed"];
  }
}

void Statistics::would(const Finding& finding, Instant now) {
  count(figures_.observed, kMostObserved, finding);
  RuleUse& use = use_of(*finding.rule);
  ++use.observed;
  use.last = now;
}

void Statistics::hear(const Verdict& verdict, const Record& record) {
  const Instant now = record.time;
  if (verdict.refusal && record.connection.local_submission) {
    would(*verdict.refusal, now);
  } else if (verdict.refusal) {
    count(figures_.refusals, kMostRefusals, *verdict.refusal);
    RuleUse& use = use_of(*verdict.refusal->rule);
    ++use.hits;
    use.last = now;
  } else if (verdict.accepted_by != nullptr) {
    RuleUse& use = use_of(*verdict.accepted_by);
    ++use.hits;
    use.last = now;
  }
  for (const Finding& finding : verdict.observed) would(finding, now);
  for (const Rule* rule : verdict.unknown) ++use_of(*rule).unknown;
  for (const LimitUse& limit : verdict.limits) note_fullness(limit, now);
  figures_.evictions += verdict.evicted;
}

void Statistics::note_fullness(const LimitUse& limit, Instant now) {
  RuleUse& use = use_of(*limit.rule);
  if (limit.warn) ++use.warnings;
  enter(use, span_of(now));
  const std::int64_t used = limit.used + (limit.fits ? limit.cost : 0);
  const double share = limit.limit.most > 0 ? static_cast<double>(used) / static_cast<double>(limit.limit.most) : 1;
  use.fullest[0] = std::max(use.fullest[0], share);
}

double Statistics::fullest(const RuleUse& use, Instant now) {
  RuleUse copy = use;
  enter(copy, span_of(now));
  return std::max(copy.fullest[0], copy.fullest[1]);
}

void Statistics::count(std::map<Kind, std::int64_t>& kinds, std::size_t most, const Finding& finding) {
  Kind kind(finding.rule->name, to_string(finding.rule->stage), finding.reply.code(), finding.classification->slug);
  if (kinds.size() >= most && !kinds.contains(kind)) kind = Kind(kOther, kOther, 0, kOther);
  ++kinds[kind];
}

Statistics::RuleUse& Statistics::use_of(const Rule& rule) {
  const auto it = figures_.rules.find(rule.name);
  if (it != figures_.rules.end()) return it->second;
  return figures_.rules[figures_.rules.size() < kMostRules ? rule.name : std::string(kOther)];
}

Statistics::Figures Statistics::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace replygate

#include "policy/proof/moments.h"

#include <algorithm>

namespace replygate {
namespace {

constexpr std::int64_t kDay = 24 * 60;  // minutes
constexpr std::size_t kMostPauses = 16;

void keep_sorted(auto& values) {
  std::ranges::sort(values);
  values.erase(std::ranges::unique(values).begin(), values.end());
}

}  // namespace

Moments::Moments(const Policy& policy) {
  for (const Rule& rule : policy.rules()) {
    for (const auto* conditions : {&rule.when, &rule.unless}) {
      for (const Condition& condition : *conditions) note(condition);
    }
  }
  if (minutes_.empty() && pauses_.empty()) return;
  if (minutes_.empty()) minutes_.push_back(0);
  for (const int seconds : {0, 1, 60}) pauses_.emplace_back(seconds);
  keep_sorted(minutes_);
  keep_sorted(pauses_);
  if (pauses_.size() > kMostPauses) pauses_.resize(kMostPauses);
}

void Moments::note(const Condition& condition) {
  const auto* ranges = std::get_if<std::vector<NumberRange>>(&condition.matcher);
  const Fact fact = condition.fact.fact;
  const auto minute = [this](std::int64_t of_day) {
    for (std::int64_t day = 0; day < 7; ++day) minutes_.push_back(day * kDay + of_day % kDay);
  };
  if (fact == Fact::weekday) minute(0);
  if (ranges == nullptr) return;
  for (const NumberRange& range : *ranges) {
    if (fact == Fact::time) {
      minute(range.least);
      minute(range.most + 1);
    }
    if (fact != Fact::session_age) continue;
    for (const std::int64_t edge : {range.least, range.most}) {
      if (edge < 0 || edge > 7 * kDay * 60) continue;
      for (const std::int64_t seconds : {edge, edge + 1}) pauses_.emplace_back(seconds);
    }
  }
}

bool Moments::any_of(const Timeline& timeline, const std::function<bool(Timeline&)>& take) const {
  for (const std::int64_t minute : minutes_) {
    const Instant moment =
        std::chrono::floor<std::chrono::minutes>(instant_at(timeline.at.front(), minute, *timeline.model.zone));
    for (const std::chrono::seconds lead : pauses_) {
      Timeline moved = timeline;
      if (with_pauses(moved, moment - lead, take)) return true;
    }
  }
  return false;
}

bool Moments::with_pauses(Timeline& timeline, Instant begin, const std::function<bool(Timeline&)>& take) const {
  for (const std::chrono::seconds pause : pauses_) {
    for (std::size_t stage = 1; stage < kStages.size(); ++stage) {
      for (std::size_t i = 0; i < kStages.size(); ++i) timeline.at[i] = begin + (i >= stage ? pause : Duration());
      timeline.earlier_at = timeline.at[static_cast<std::size_t>(Stage::rcpt)];
      if (take(timeline)) return true;
    }
  }
  return false;
}

}  // namespace replygate

#include "policy/count/sighting.h"

#include <algorithm>

namespace replygate {

Sighting::State Sighting::state(Instant now, const Greylisting& rule) const {
  if (first_ == Instant{}) return State::fresh;
  if (passed_) return now < last_ + rule.remember ? State::known : State::fresh;
  if (now < first_ + rule.delay) return State::early;
  return now < first_ + rule.retry_within ? State::passing : State::fresh;
}

Sighting::State Sighting::see(Instant now, const Greylisting& rule) {
  const State before = state(now, rule);
  if (before == State::fresh) {
    first_ = now;
    passed_ = false;
  } else if (before != State::early) {
    passed_ = true;
  }
  last_ = now;
  idle_at_ = passed_ ? last_ + rule.remember : first_ + std::max(rule.delay, rule.retry_within);
  return before;
}

void Sighting::save(PackedWriter& out, Duration shift) const {
  out.instant(first_ + shift);
  out.duration(std::max(last_ - first_, Duration(0)) + Duration(1));
  out.duration(std::max(idle_at_ - first_, Duration(0)) + Duration(1));
  out.number(passed_ ? 1 : 0);
}

void Sighting::load(PackedReader& in, Instant now) {
  first_ = in.instant(now);
  last_ = std::min(first_ + in.duration() - Duration(1), now);
  idle_at_ = first_ + in.duration() - Duration(1);
  passed_ = in.number(0, 1) == 1;
}

}  // namespace replygate

#include "policy/count/sighting.h"

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
  return before;
}

}  // namespace replygate

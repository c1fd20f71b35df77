#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "milter/clock.h"
#include "milter/current_policy.h"
#include "milter/outcome/outcome_outbox.h"
#include "milter/store/health.h"

namespace replygate {

// Counts outcomes in the store, each until it is counted for good. What may have been counted is counted again under
// the same name, which the store counts once: so neither a kill nor a store that does not answer loses or doubles one.
// One thread.
class OutcomeCharger {
 public:
  // All outlive it; the store may answer later all the same.
  OutcomeCharger(Store& store, const CurrentPolicy& policy, const StoreHealth& health, const Clock& clock);

  void add(OutcomeOutbox::Entry entry);
  // Asks the store for what waits, and once more for what it could not tell; counts it at `now`.
  void send(Instant now);
  // Those that the store has, and keeps over a kill; each is given once.
  std::vector<std::int64_t> counted();
  std::size_t waiting() const;  // not counted yet

 private:
  struct State;

  void send(OutcomeOutbox::Entry entry, Instant now);

  Store& store_;
  const CurrentPolicy& policy_;
  const StoreHealth& health_;
  const Clock& clock_;
  std::deque<OutcomeOutbox::Entry> entries_;  // to be sent
  std::shared_ptr<State> state_;
};

}  // namespace replygate

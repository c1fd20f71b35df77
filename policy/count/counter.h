#pragma once

#include <variant>

#include "policy/count/distinct.h"
#include "policy/count/limit.h"
#include "policy/count/store.h"

namespace replygate {

// The state of one counter, whatever it measures. A value without a lock.
class Counter {
 public:
  // Of a charge that was reserved; what its settlement needs.
  struct Hold {
    std::int64_t cost = 0;
    DistinctWindow::Member member = 0;
    Instant taken;
  };

  explicit Counter(const Measure& measure);

  // `member`: the hash of the member that a Distinct charge names.
  Reading read(const Charge& charge, DistinctWindow::Member member, Instant now) const;
  // Counts for good, or sees.
  void add(const Charge& charge, DistinctWindow::Member member, Instant now);
  Hold reserve(const Charge& charge, DistinctWindow::Member member, Instant now);
  void settle(const Hold& hold, Settlement settlement, Instant now);
  // True once in a period.
  bool warn(Instant now);

  bool idle(Instant now) const;

 private:
  struct FixedCount {
    std::int64_t count = 0;
    std::int64_t reserved = 0;
  };

  Measure measure_;  // of the last charge
  std::variant<Window, Bucket, FixedCount, DistinctWindow, Sighting> state_;
  Instant warned_until_{};
  std::uint32_t holds_ = 0;  // not settled yet
};

}  // namespace replygate

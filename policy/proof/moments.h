#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "policy/proof/timeline.h"

namespace replygate {

// Other times at which a transaction could be tried: just before and behind every moment at which a condition on the
// clock changes, with pauses about as long as conditions on the age of the session want. Immutable.
class Moments {
 public:
  explicit Moments(const Policy& policy);

  // Visits copies of the timeline that differ in their instants alone, until one is taken. False where none was.
  bool any_of(const Timeline& timeline, const std::function<bool(Timeline&)>& take) const;

 private:
  void note(const Condition& condition);
  bool with_pauses(Timeline& timeline, Instant begin, const std::function<bool(Timeline&)>& take) const;

  std::vector<std::int64_t> minutes_;  // of the week
  std::vector<std::chrono::seconds> pauses_;
};

}  // namespace replygate

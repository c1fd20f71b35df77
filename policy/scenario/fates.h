#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "policy/scenario/scenario.h"

namespace replygate {

// Which of so many recipients came to what, where only numbers are given. Each has one final outcome at most, in the
// order in which they are given. Deferrals are first of recipients without a final outcome, then come before one.
// Complaints are first of those that were delivered to, and never of those that did not get the message. What is more
// than can be is left out. Pure.
using Fates = std::vector<std::pair<std::size_t, Unit>>;
Fates fates_of(const Outcomes& outcomes, std::size_t recipients);

// A recipient has one of these.
constexpr bool is_final_outcome(Unit unit) {
  return unit == Unit::hard_bounces || unit == Unit::blocked || unit == Unit::deliveries;
}
std::int64_t count_of(const Outcomes& outcomes, Unit unit);

}  // namespace replygate

#include "policy/scenario/fates.h"

#include <algorithm>

namespace replygate {
namespace {

// What each recipient came to in the end, in the order of recipients; those behind them came to nothing yet.
std::vector<Unit> ends_of(const Outcomes& outcomes, std::size_t recipients) {
  std::vector<Unit> ends;
  for (const auto& [unit, count] : outcomes) {
    if (!is_final_outcome(unit)) continue;
    const auto left = static_cast<std::int64_t>(recipients - ends.size());
    ends.insert(ends.end(), static_cast<std::size_t>(std::min(count, left)), unit);
  }
  return ends;
}

void add_deferrals(std::int64_t count, std::size_t ended, std::size_t recipients, Fates& fates) {
  const auto most = static_cast<std::int64_t>(recipients);
  for (std::int64_t i = 0; i < std::min(count, most); ++i) {
    fates.emplace_back((ended + static_cast<std::size_t>(i)) % recipients, Unit::deferrals);
  }
}

void add_complaints(std::int64_t count, const std::vector<Unit>& ends, std::size_t recipients, Fates& fates) {
  const auto complain = [&](std::size_t recipient) {
    if (count-- > 0) fates.emplace_back(recipient, Unit::complaints);
  };
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] == Unit::deliveries) complain(i);
  }
  for (std::size_t i = ends.size(); i < recipients; ++i) complain(i);
}

}  // namespace

std::int64_t count_of(const Outcomes& outcomes, Unit unit) {
  std::int64_t count = 0;
  for (const auto& [which, number] : outcomes) count += which == unit ? number : 0;
  return count;
}

Fates fates_of(const Outcomes& outcomes, std::size_t recipients) {
  Fates fates;
  const std::vector<Unit> ends = ends_of(outcomes, recipients);
  add_deferrals(count_of(outcomes, Unit::deferrals), ends.size(), recipients, fates);
  for (std::size_t i = 0; i < ends.size(); ++i) fates.emplace_back(i, ends[i]);
  add_complaints(count_of(outcomes, Unit::complaints), ends, recipients, fates);
  return fates;
}

}  // namespace replygate

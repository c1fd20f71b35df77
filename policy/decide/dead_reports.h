#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/base/time.h"
#include "policy/rules/settings.h"

// When an address is dead: servers have said so often enough within a time. Times are microseconds since the epoch,
// ascending, of so many last reports as matter. Pure.
namespace replygate {

constexpr std::size_t kMostDeadReported = 250'000;  // addresses; beyond them the oldest reports are forgotten

// A report is out of date so long behind it.
inline Duration dead_report_kept(const OutcomeSettings& settings) {
  return std::max(settings.dead_for, settings.dead_within);
}

inline void add_dead_report(std::vector<std::int64_t>& times, Instant time, const OutcomeSettings& settings) {
  times.push_back(std::max(time.time_since_epoch().count(), times.empty() ? 0 : times.back()));
  const auto kept = static_cast<std::size_t>(settings.dead_after);
  if (times.size() > kept) times.erase(times.begin(), times.end() - static_cast<std::ptrdiff_t>(kept));
}

// The end of its death; the last report where it is not dead yet. `times` is not empty.
inline Instant dead_until(const std::vector<std::int64_t>& times, const OutcomeSettings& settings) {
  const Instant last{Duration(times.back())};
  const auto needed = static_cast<std::size_t>(settings.dead_after);
  const bool dead =
      times.size() >= needed && Duration(times.back() - times[times.size() - needed]) <= settings.dead_within;
  return dead ? last + settings.dead_for : last;
}

}  // namespace replygate

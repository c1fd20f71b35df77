#include "milter/cli/past.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "milter/last_good.h"
#include "policy/mail/quantity.h"
#include "policy/scenario/scenario.h"

namespace replygate {

PastSource source_of(const PastOptions& options, const Policy* policy) {
  if (!options.files.empty()) return {"", options.files};
  if (!options.history.empty()) return {options.history, {}};
  if (policy == nullptr) return {state_folder() + "/history", {}};
  const std::string& named = policy->settings().history.path;
  if (!named.empty()) return {named, {}};
  return {folder_beside(policy->settings().store, state_folder()) + "/history", {}};
}

std::optional<Instant> since_of(std::string_view command, const std::string& since) {
  if (since.empty()) return Instant::min();
  if (const auto time = parse_time(since)) return time;
  if (const auto span = parse_duration(since)) {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()) - *span;
  }
  fmt::print(stderr,
             "replygate {}: --since \"{}\" is no time; write for instance 7d, 3653d at the most, or "
             "2026-11-22T09:00:00Z\n",
             command, since);
  return std::nullopt;
}

void print_troubles(const PastFigures& figures) {
  for (const std::string& trouble : figures.log.troubles) fmt::print(stderr, "replygate: {}\n", trouble);
  const MailTrail::Figures& trail = figures.log.trail;
  if (trail.forgotten > 0) {
    fmt::print(stderr, "replygate: {} messages were under way at once for too long, and are left out\n",
               trail.forgotten);
  }
}

}  // namespace replygate

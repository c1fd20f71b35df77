#include "policy/scenario/replayed_dead.h"

#include <algorithm>

namespace replygate {

void ReplayedDead::forget(All::iterator place) {
  oldest_.erase({place->second.last, place->first});
  told_.erase(place);
}

// What was not heard is kept, too: the record, of a policy that did hear it, is wrong.
void ReplayedDead::bounced(const std::string& address, Instant time, bool heard) {
  if (!heard && complete_ && *complete_ <= time) return;
  const auto [place, fresh] = told_.try_emplace(address);
  Told& told = place->second;
  if (!fresh) oldest_.erase({told.last, place->first});
  told.last = std::max(told.last, time);
  oldest_.emplace(told.last, place->first);
  if (heard) add_dead_report(told.reports, time, settings_);
}

void ReplayedDead::delivered(const std::string& address, Instant time) {
  const auto found = told_.find(address);
  if (found == told_.end()) return;
  if (complete_ && *complete_ <= time) return forget(found);
  found->second.reports.clear();
}

// Whatever was reported before the begin is older than all that is known: beyond the bound it went first.
void ReplayedDead::pass(Instant now) {
  if (!complete_) complete_ = now + settings_.dead_for;
  const Duration kept = dead_report_kept(settings_);
  while (!oldest_.empty() && (oldest_.begin()->first + kept < now || told_.size() > most_)) {
    if (oldest_.begin()->first + kept >= now) complete_ = std::min(*complete_, now);
    forget(told_.find(oldest_.begin()->second));
  }
}

std::optional<bool> ReplayedDead::is_dead(std::string_view address, Instant now) const {
  const auto found = told_.find(address);
  if (found == told_.end()) return complete_ && *complete_ <= now ? std::optional(false) : std::nullopt;
  return !found->second.reports.empty() && now < dead_until(found->second.reports, settings_);
}

}  // namespace replygate

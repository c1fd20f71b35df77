#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/decide/dead_reports.h"

namespace replygate {

// Who is dead while mail is played again, with the bounds of the daemon's list. What a history has not told yet its
// records may know, until what came before its begin is out of date. One thread.
class ReplayedDead {
 public:
  explicit ReplayedDead(const OutcomeSettings& settings, std::size_t most = kMostDeadReported)
      : settings_(settings), most_(most) {}

  // `heard`: the daemon would have heard of it, and believed it.
  void bounced(const std::string& address, Instant time, bool heard);
  void delivered(const std::string& address, Instant time);
  // Time passes: forgets what is out of date, and the oldest beyond the bound.
  void pass(Instant now);

  // Nothing where only the record can know.
  std::optional<bool> is_dead(std::string_view address, Instant now) const;
  std::size_t size() const { return told_.size(); }

 private:
  struct Told {
    std::vector<std::int64_t> reports;  // that were heard and not cleared
    Instant last{};
  };
  using All = std::map<std::string, Told, std::less<>>;

  void forget(All::iterator place);

  const OutcomeSettings settings_;
  const std::size_t most_;
  std::optional<Instant> complete_;  // since when whoever is not known lives; nothing: it has not begun
  All told_;
  std::set<std::pair<Instant, std::string_view>> oldest_;
};

}  // namespace replygate

#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/count/limit.h"
#include "policy/rules/live_source.h"

namespace replygate {

// The limits of one key; none: the key is exempt.
using Limits = std::vector<Limit>;

// What a key has of its own.
struct OwnLimits {
  bool all = false;  // it is exempt from all limits
  std::vector<Unit> exempt;
  Limits limits;

  // What applies to the key in place of the limits of the rule: own ones take the place of those in the same unit over
  // the same kind of period; the others stay.
  Limits in_place_of(const Limits& of_rule) const;
};

// A live source that is asked for the limits of a key.
struct LiveLimits {
  LiveSourcePtr source;  // null: there is none
  // What its answer means; nothing where it is not understood.
  std::function<std::optional<OwnLimits>(std::string_view)> read;
};

}  // namespace replygate

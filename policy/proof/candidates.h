#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "policy/proof/model.h"

namespace replygate {

// Which conditions of a slot hold for a value; equal for values that they cannot tell apart.
using Signature = std::string;

struct Picks {
  std::vector<Pick> picks;  // likely ones first
  bool all = true;          // false: there were too many to list
};

// Values of a slot that stand for all its values: for every way in which lists, networks, numbers and flags of the
// conditions can be true and false together, one of them is such. Of globs and regular expressions there are samples.
// Values are canonical, as a session would give them.
Picks candidates(Slot slot, std::span<const Condition* const> conditions, const Site& site,
                 const std::function<Signature(const Pick&)>& signature);

}  // namespace replygate

#pragma once

#include <memory>
#include <string>

#include "policy/load/load.h"

namespace replygate {

// The policy of a file, or, where it is missing or in error, what can be read of its settings: enough to look at a host
// or to take its MTA back.
struct PolicyAtHand {
  Loaded loaded;
  std::shared_ptr<const Policy> policy;  // never null

  bool whole() const { return loaded.ok(); }
};
PolicyAtHand policy_at_hand(const std::string& file);

}  // namespace replygate

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/time.h"
#include "policy/count/limit.h"

namespace replygate {

// More room for one key, for a while: what an admin grants without touching the policy.
struct Raise {
  std::string key;   // as records show it, in lower case
  std::string rule;  // "": each rule
  std::int64_t percent = 200;
  Instant until{};
  std::string reason;

  bool operator==(const Raise&) const = default;
};

using Raises = std::vector<Raise>;

// A limit as it is for a key at `now`: the greatest of all raises that hold counts.
Limit raised(Limit limit, const Raises& raises, std::string_view rule, std::string_view key, Instant now);

}  // namespace replygate

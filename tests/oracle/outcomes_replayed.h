#pragma once

#include <memory>
#include <string>
#include <vector>

#include "policy/rules/policy.h"

namespace replygate::oracle {

// What `replygate replay` says of each recipient of a history, in the order of its records; 0: it is let through.
std::vector<int> replayed(const std::vector<std::string>& history, const std::shared_ptr<const Policy>& policy);

}  // namespace replygate::oracle

#pragma once

#include <vector>

#include "policy/load/context.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// Reads the tables of [[test]].
std::vector<Scenario> load_tests(Context& context, const std::vector<const Node*>& tables);

}  // namespace replygate

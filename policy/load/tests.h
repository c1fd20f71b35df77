#pragma once

#include <vector>

#include "policy/load/context.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// Reads the tables of [[test]]. `live`: the sources that the rules ask.
std::vector<Scenario> load_tests(Context& context, const std::vector<const Node*>& tables,
                                 const std::vector<LiveSourcePtr>& live);

}  // namespace replygate

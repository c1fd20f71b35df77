#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "policy/load/context.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// `{ hard_bounces = 8, deliveries = 52 }`: what became of so many recipients. What is wrong with it, or cannot have
// become of them, is reported.
Outcomes read_outcomes(Context& context, const Node& node, std::size_t recipients);

// The same as an argument of a command, where the braces may be left away. Mistakes come back with the text they point
// into, which is called `name`.
struct GivenOutcomes {
  Outcomes outcomes;
  std::vector<Diagnostic> diagnostics;
  Sources sources;
};
GivenOutcomes parse_outcomes(std::string_view text, const std::string& name, std::size_t recipients);

}  // namespace replygate

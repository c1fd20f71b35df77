#pragma once

#include <string>
#include <string_view>

#include "policy/load/document.h"

namespace replygate {

// What to write for a burst that is none; of a limit in bytes or in another unit.
std::string burst_help(const Node& node, bool bytes);

// The percentage that a value probably means: 80, "80 percent" and 0.8 are "80%"; "" where it means none.
std::string meant_share(const Node& node);

// Whether an override was meant to be "unlimited": "none", "-1", "unlimted".
bool is_meant_unlimited(std::string_view text);

}  // namespace replygate

#pragma once

#include <optional>
#include <string_view>

#include "policy/rules/own_limits.h"

namespace replygate {

// What a source says of a key: "100 messages / 1h, 1000 messages / 1d", "unlimited", "unlimited messages". Nothing
// where that is not understood. Pure; any thread.
std::optional<OwnLimits> read_live_limits(std::string_view text);

}  // namespace replygate

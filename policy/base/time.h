#pragma once

#include <chrono>

namespace replygate {

// A point in time as handed to the policy by its caller: microseconds since the epoch, UTC. policy/ reads no clock.
using Instant = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::microseconds;

}  // namespace replygate

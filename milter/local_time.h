#pragma once

#include <chrono>
#include <ctime>

#include "policy/base/time.h"

namespace replygate {

// A time as the clocks of this host show it.
inline std::tm local_parts(Instant time) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return parts;
}

}  // namespace replygate

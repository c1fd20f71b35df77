#pragma once

#include <string>

#include "milter/log/troubles.h"

namespace replygate {

// What has kept outcomes from being counted for a minute; "" where nothing has. A log that is being rotated may be
// missing for a moment.
std::string lasting_outcome_trouble(const Troubles& troubles);

}  // namespace replygate

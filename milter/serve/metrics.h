#pragma once

#include <string>

#include "milter/serve/desk.h"

namespace replygate {

// All figures in the text format of Prometheus, version 0.0.4. At most 1,000 series, whatever the traffic: labels are
// rules, stages, codes, classifications, causes and places of the log, never users.
std::string metrics_text(const Desk& desk);

}  // namespace replygate

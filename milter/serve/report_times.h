#pragma once

#include "policy/base/time.h"
#include "policy/rules/settings.h"

namespace replygate {

// When a report was due last, at `now` or before, by the clocks of this host.
Instant report_due(const ReportSettings& settings, Instant now);

}  // namespace replygate

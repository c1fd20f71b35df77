#pragma once

#include "policy/load/context.h"
#include "policy/rules/settings.h"

namespace replygate {

// The section [report]. Mistakes are reported; their keys stay as they are.
void load_report_settings(Context& context, const Node& table, ReportSettings& settings);

}  // namespace replygate

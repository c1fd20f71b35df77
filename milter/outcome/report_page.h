#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "milter/outcome/day_report.h"

namespace replygate {

// A finished report for people: sixty lines at most, problems first, each with the command that shows more. Its first
// line begins with `head` and says what there was in all.
std::string report_text(const DayReport& report, std::string_view head);
// The same for programs: conf/OPERATIONS.md has the keys.
boost::json::object report_json(const DayReport& report);

}  // namespace replygate

#pragma once

#include <boost/json/object.hpp>
#include <functional>

#include "milter/serve/control_commands.h"

namespace replygate {

// The commands about one key: its counters shown, forgotten, or given more room. Requests have "key", perhaps "rule".
using ControlDone = std::function<void(ControlAnswer)>;
void quota_show(Desk& desk, const boost::json::object& request, const ControlDone& done);
// The fullest limits of keys that were seen lately ("count" of them), and the raises in force.
void quota_list(Desk& desk, const boost::json::object& request, const ControlDone& done);
void quota_reset(Desk& desk, const boost::json::object& request, const ControlDone& done);
// Also "percent" (above 100; 100 takes a grant back), "until" (RFC 3339) and "reason".
void quota_raise(Desk& desk, const boost::json::object& request, const ControlDone& done);

}  // namespace replygate

#pragma once

#include <boost/json/object.hpp>
#include <functional>

#include "milter/serve/control_commands.h"

namespace replygate {

// Commands about outcomes; as answer_request().
void outcome_report(Desk& desk, const boost::json::object& request, const std::function<void(ControlAnswer)>& done);
void outcome_dead(Desk& desk, const boost::json::object& request, const std::function<void(ControlAnswer)>& done);
void outcome_clear(Desk& desk, const boost::json::object& request, const std::function<void(ControlAnswer)>& done);

}  // namespace replygate

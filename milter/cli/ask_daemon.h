#pragma once

#include <boost/json/object.hpp>
#include <functional>

#include "milter/cli/commands.h"

namespace replygate {

// Asks the daemon, and on success prints `result`: as JSON where that is wanted, else by `print`, whose status it
// gives. Messages go to stderr.
int ask_daemon(const ControlOptions& options, boost::json::object request,
               const std::function<int(const boost::json::object& result)>& print);

}  // namespace replygate

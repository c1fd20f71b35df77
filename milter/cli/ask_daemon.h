#pragma once

#include <boost/json/object.hpp>
#include <functional>

#include "milter/cli/commands.h"

namespace replygate {

// Asks the daemon, and on success prints `result`: as JSON where that is wanted, else by `print`. Messages go to
// stderr. What the exit status is then, `judge` says of either form; without it all is well.
int ask_daemon(const ControlOptions& options, boost::json::object request,
               const std::function<void(const boost::json::object& result)>& print,
               const std::function<int(const boost::json::object& result)>& judge = {});

}  // namespace replygate

#pragma once

#include <boost/json/object.hpp>

#include "milter/outcome/outcome_ledger.h"

namespace replygate {

// A report on its way to the daemon, and back; what makes no sense is left out.
boost::json::object to_json(const OutcomeLedger::Report& report);
OutcomeLedger::Report report_in(const boost::json::object& request);

}  // namespace replygate

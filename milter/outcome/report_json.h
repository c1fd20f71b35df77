#pragma once

#include <boost/json/object.hpp>

#include "milter/outcome/outcome_ledger.h"

namespace replygate {

// A report on its way to the daemon, and back; what makes no sense is left out.
boost::json::object to_json(const OutcomeLedger::Report& report);
// A status with its keys as conf/LOG.md has them; what is not there is empty.
RemoteStatus status_in(const boost::json::object& kept);

OutcomeLedger::Report report_in(const boost::json::object& request);

}  // namespace replygate

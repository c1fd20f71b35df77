#pragma once

#include <boost/json/object.hpp>

#include "milter/host/person.h"
#include "milter/host/symptom.h"
#include "policy/rules/policy.h"

namespace replygate {

// What does not depend on the MTA: who can reach the sockets, the store, the log, the clock, the daemon itself.
// Unix sockets: folders and permissions, as the MTA's user sees them; nothing where there is none.
Symptoms check_sockets(const Policy& policy, const std::optional<Person>& mta = mta_user());
Symptoms check_store(const Policy& policy);
Symptoms check_log(const Policy& policy);  // that somebody takes the records
Symptoms check_clock();
// `whole`: `policy` is the file's, and not a part of it.
Symptoms check_daemon(const std::string& control_socket, const Policy& policy, bool whole = true);
// What the daemon's status says is wrong.
Symptoms troubles_in(const boost::json::object& status);

}  // namespace replygate

#pragma once

#include <cstdint>

#include "policy/policy.h"

namespace replygate {

// What a policy asks of the MTA beyond its macros.

// The greatest number of recipients of a message that some rule compares with; 0 for none.
std::int64_t most_recipients(const Policy& policy);
// Some rule denies relaying.
bool has_relay_rule(const Policy& policy);
// Until an answer is there, whatever is slow.
Duration longest_wait(const Settings& settings);

}  // namespace replygate

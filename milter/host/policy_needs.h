#pragma once

#include <cstdint>
#include <string>

#include "policy/rules/policy.h"

namespace replygate {

// What a policy asks of the MTA beyond its macros.

// The greatest number of recipients of a message that some rule compares with; 0 for none.
std::int64_t most_recipients(const Policy& policy);
// Some rule denies relaying.
bool has_relay_rule(const Policy& policy);
// Some rule refuses single recipients.
bool refuses_recipients(const Policy& policy);
// Until an answer is there, whatever is slow.
Duration longest_wait(const Policy& policy);

// Where replygate belongs among the filters of an MTA. A filter that is asked later may refuse what was charged
// already, and nobody tells; what an earlier one refuses is never seen.
struct FilterOrder {
  std::string last;   // a rule that charges mail as it is accepted; "" for none
  std::string first;  // a rule that counts what is refused or attempted; "" for none
};
FilterOrder filter_order(const Policy& policy);

}  // namespace replygate

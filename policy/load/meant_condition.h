#pragma once

#include <string>

#include "policy/load/document.h"

namespace replygate {

// What to write for `when` or `unless` whose value is no table: unless = "$trusted_networks", when = "authenticated".
std::string conditions_help(const Entry& entry);

}  // namespace replygate

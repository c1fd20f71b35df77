#pragma once

#include <string>
#include <string_view>

#include "policy/remote/status.h"

namespace replygate {

// Who answered, as reports group it: a provider that is known, else the domain of the server, else that of the
// recipient where the server has no name. `provider`: "" where none is known.
std::string who_answered(const RemoteStatus& status, std::string_view provider);

}  // namespace replygate

#pragma once

#include <string>

#include "policy/remote/status_book.h"

namespace replygate {

// Who answered, as reports group it: a provider that is known, else the domain of the server, else that of the
// recipient where the server has no name.
std::string who_answered(const RemoteStatus& status, const Explained& explained);

}  // namespace replygate

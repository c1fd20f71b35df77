#pragma once

#include <string>
#include <tl/expected.hpp>

#include "policy/load/socket.h"

namespace replygate {

// Nobody listens at an address of this host, so that it may be taken; a stale Unix socket counts as nobody. Else why
// not, for people: what cannot be found out is not taken from whoever has it. Waits a second at the most.
tl::expected<void, std::string> may_listen_on(const SocketAddress& address);

// Connects and closes at once, so that who listens there looks up. Waits a second at the most.
void wake_listener(const SocketAddress& address);

}  // namespace replygate

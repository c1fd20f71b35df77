#pragma once

#include "policy/load/socket.h"

namespace replygate {

// Connects to a listening socket and closes at once. True where somebody listens. Waits at most for a local connect.
bool touch(const SocketAddress& address);

}  // namespace replygate

#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/door/services.h"
#include "milter/net/stream_server.h"
#include "policy/load/socket.h"

namespace replygate {

// The second door: answers Postfix's policy delegation requests from rules without counters, on one thread of its own.
// Refuses or says DUNNO; never permits, so that with this door shut Postfix decides by itself. At 1,000 connections
// whoever has been idle for longest makes room: the MTA finds out, and connects anew when it needs to.
tl::expected<std::unique_ptr<StreamServer>, std::string> open_delegation_door(const SocketAddress& address,
                                                                              const DoorServices& services);

}  // namespace replygate

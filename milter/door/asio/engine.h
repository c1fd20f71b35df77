#pragma once

#include "milter/door/door.h"

namespace replygate {

// The engine of our own: the milter protocol on Boost.Asio, a few threads for any number of connections, several
// listening sockets. A connection may take no more than `[milter]` allows of time and memory.
tl::expected<std::unique_ptr<MilterDoor>, std::string> open_asio_door(const DoorServices& services);

}  // namespace replygate

#pragma once

#include "milter/door/door.h"

namespace replygate {

// The engine on Sendmail's library, with all that the library does. One in a process, once: it cannot be started twice.
tl::expected<std::unique_ptr<MilterDoor>, std::string> open_libmilter_door(const DoorServices& services);

}  // namespace replygate

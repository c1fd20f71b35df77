#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/net/stream_server.h"
#include "milter/serve/desk.h"

namespace replygate {

// Commands over a Unix socket: a JSON object a line, and a line for each answer; `tail` then goes on with a record a
// line. Serves root, its own user, and members of its own group, as the permissions of the socket say; the peer's
// credentials are looked at once more. Bounded: a request has 64 KiB and comes within five seconds, and there are 64
// connections at most. Commands have a thread of their own; one that is under way comes to its end when the server is
// stopped. `desk` outlives it.
tl::expected<std::unique_ptr<StreamServer>, std::string> open_control_server(const std::string& address, Desk& desk);

}  // namespace replygate

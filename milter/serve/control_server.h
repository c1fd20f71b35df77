#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/serve/desk.h"

namespace replygate {

// Commands over a Unix socket: a JSON object a line, and a line for each answer; `tail` then goes on with a record a
// line. Serves root, its own user, and members of its own group, as the permissions of the socket say; the peer's
// credentials are looked at once more. Bounded: a request has 64 KiB and comes within five seconds, and there are 64
// connections at most. On threads of its own.
class ControlServer {
 public:
  // Binds and listens, or says why not. `desk` outlives it.
  static tl::expected<std::unique_ptr<ControlServer>, std::string> open(const std::string& address, Desk& desk);
  ~ControlServer();  // stops
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  void start();
  void stop();  // ends all connections; a command that is under way comes to its end

 private:
  class Server;
  explicit ControlServer(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace replygate

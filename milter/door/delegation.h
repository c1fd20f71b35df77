#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/door/services.h"
#include "policy/load/socket.h"

namespace replygate {

// The second door: answers Postfix's policy delegation requests from rules without counters, on one thread of its own.
// Refuses or says DUNNO; never permits, so that with this door shut Postfix decides by itself.
class DelegationDoor {
 public:
  // Binds and listens, or says why not. A stale Unix socket is replaced, that of a running process is not.
  static tl::expected<std::unique_ptr<DelegationDoor>, std::string> open(const SocketAddress& address,
                                                                         DoorServices services);
  ~DelegationDoor();  // stops
  DelegationDoor(const DelegationDoor&) = delete;
  DelegationDoor& operator=(const DelegationDoor&) = delete;

  void start();
  void stop();  // closes all connections and joins the thread

 private:
  class Server;
  explicit DelegationDoor(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace replygate

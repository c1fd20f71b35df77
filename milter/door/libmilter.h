#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/door/services.h"
#include "policy/load/socket.h"

namespace replygate {

// The first door: libmilter's callbacks. One in a process, once (libmilter cannot be started twice).
class MilterDoor {
 public:
  // Binds and listens, or says why not. A stale Unix socket is replaced, that of a running process is not.
  static tl::expected<std::unique_ptr<MilterDoor>, std::string> open(const SocketAddress& address,
                                                                     DoorServices services);
  ~MilterDoor();
  MilterDoor(const MilterDoor&) = delete;
  MilterDoor& operator=(const MilterDoor&) = delete;

  // Serves until stopped. Blocks; to be called once, on a thread of its own.
  // All signals must be blocked in the threads that exist before.
  // False where libmilter gave up by itself.
  bool serve();

  // New transactions are answered 421 from now on; returns when no transaction is open, or after `patience`.
  void drain(std::chrono::milliseconds patience);
  // Makes serve() return soon.
  void stop();

  // Behind serve(): no session is left on which a thread of libmilter could still call back. Where one is, the services
  // must not be destroyed: the process has to end without.
  bool quiet();

 private:
  explicit MilterDoor(SocketAddress address) : address_(std::move(address)) {}
  SocketAddress address_;
};

}  // namespace replygate

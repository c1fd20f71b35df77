#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/door/services.h"

namespace replygate {

// How the MTA reaches us: one of two engines that speak the milter protocol. To be used by one thread.
class MilterDoor {
 public:
  MilterDoor() = default;
  MilterDoor(const MilterDoor&) = delete;
  MilterDoor& operator=(const MilterDoor&) = delete;
  virtual ~MilterDoor() = default;

  // Serves from now on, on threads of its own. `ended` is called, on whatever thread, if it ends by itself: `well`
  // after a signal, else for an error. All signals must be blocked in the threads that exist.
  virtual void start(std::function<void(bool well)> ended) = 0;

  // Calls `done`, on whatever thread, once all threads that serve have come by: unless one hangs. Between start() and
  // stop().
  virtual void probe(std::function<void()> done) = 0;

  // Lets what is open come to its end. Returns when no transaction is open, or after `patience`.
  virtual void drain(std::chrono::milliseconds patience) = 0;

  // Ends. False where threads may still use the services: the process must then end without destroying them.
  [[nodiscard]] virtual bool stop() = 0;
};

// Binds and listens as [milter] says, or says why not. A stale Unix socket is replaced, that of a running process is
// not.
tl::expected<std::unique_ptr<MilterDoor>, std::string> open_milter_door(const DoorServices& services);

}  // namespace replygate

#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "milter/door/door.h"

namespace replygate {

// What systemd is told; without it nothing happens. Any thread.
void tell_manager(const std::string& state);  // "READY=1" and the like, sd_notify(3)

// Tells the service manager that decisions are still made: each thread that makes them must have come by. Who asks for
// no watchdog gets none.
class Watchdog {
 public:
  // `door` outlives it and is started.
  explicit Watchdog(MilterDoor& door);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void run(std::chrono::microseconds pause);

  MilterDoor& door_;
  std::shared_ptr<std::atomic<bool>> came_by_ = std::make_shared<std::atomic<bool>>(true);
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace replygate

#include "milter/serve/service_manager.h"
#include "milter/thread_name.h"

#include <systemd/sd-daemon.h>

namespace replygate {

void tell_manager(const std::string& state) { sd_notify(0, state.c_str()); }

Watchdog::Watchdog(MilterDoor& door) : door_(door) {
  std::uint64_t timeout = 0;
  if (sd_watchdog_enabled(0, &timeout) <= 0) return;
  thread_ = std::thread([this, timeout] {
    name_thread("watchdog");
    run(std::chrono::microseconds(timeout / 4));
  });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::run(std::chrono::microseconds pause) {
  std::unique_lock lock(mutex_);
  do {
    if (came_by_->exchange(false)) {
      tell_manager("WATCHDOG=1");
      door_.probe([came_by = came_by_] { *came_by = true; });
    }
  } while (!wake_.wait_for(lock, pause, [this] { return stopping_; }));
}

}  // namespace replygate

#include "milter/guarded.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <exception>

#include "milter/log/throttle.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

// Saying it may fail, too: memory may be what is wanting.
void say_thrown(std::string_view who, const char* what) noexcept {
  static Throttle thrown;
  try {
    thrown.say(fmt::format("{}: internal error: {}; going on", who, what));
  } catch (...) {
    return;
  }
}

}  // namespace

void say_caught(std::string_view who) noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    say_thrown(who, error.what());
  } catch (...) {
    say_thrown(who, "of unknown kind");
  }
}

void run_guarded(boost::asio::io_context& io, std::string_view who) noexcept {
  while (!guarded(who, [&io] { io.run(); })) continue;
}

Ticker::Ticker(std::string who, std::chrono::milliseconds pause, std::function<void()> step)
    : who_(std::move(who)), step_(std::move(step)), thread_([this, pause] { run(pause); }) {}

void Ticker::run(std::chrono::milliseconds pause) {
  name_thread(who_);
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    guarded(who_, step_);
    lock.lock();
  }
}

void Ticker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace replygate

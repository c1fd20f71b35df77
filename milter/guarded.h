#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace boost::asio {
class io_context;
}

namespace replygate {

// Says what is being thrown, a line in ten seconds, as trouble of `who`. Within a catch.
void say_caught(std::string_view who) noexcept;

// A step of a thread that goes on whatever happens in it, want of memory included. What it throws is said; false then.
// Any thread.
template <typename Step>
bool guarded(std::string_view who, const Step& step) noexcept {
  try {
    step();
    return true;
  } catch (...) {
    say_caught(who);
    return false;
  }
}

// Runs the loop until it is out of work or stopped; a handler that throws ends alone.
void run_guarded(boost::asio::io_context& io, std::string_view who) noexcept;

// A thread that does one thing again and again, with `pause` between; a guarded step each time. Begins at once, with a
// pause.
class Ticker {
 public:
  Ticker(std::string who, std::chrono::milliseconds pause, std::function<void()> step);
  ~Ticker() { stop(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  void stop();  // a step under way comes to its end

 private:
  void run(std::chrono::milliseconds pause);

  const std::string who_;
  const std::function<void()> step_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace replygate

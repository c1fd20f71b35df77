#pragma once

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string_view>

#include "milter/net/stream.h"

namespace replygate {

// Runs asynchronous steps one after the other, with one deadline for all. What a step has left undone when it fails is
// given up with its context, so that it never comes to its end later.
class Steps {
 public:
  explicit Steps(std::chrono::milliseconds patience) : patience_(patience) {}

  // The context of the steps that follow; those before must be over, their sockets gone.
  boost::asio::io_context& begin() {
    const std::lock_guard lock(mutex_);
    deadline_ = std::chrono::steady_clock::now() + patience_;
    io_ = std::make_unique<boost::asio::io_context>(1);
    return *io_;
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (io_ != nullptr) io_->stop();
  }

  // `step` takes the handler of one operation. Throws what went wrong.
  template <typename Step>
  void run(std::string_view doing, Step step) {
    net::Error result = boost::asio::error::timed_out;
    step([&result](net::Error error, auto&&...) { result = error; });
    io_->restart();
    if (!stopped_) io_->run_until(deadline_);
    if (result) throw std::runtime_error(fmt::format("{}: {}", doing, result.message()));
  }

 private:
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::unique_ptr<boost::asio::io_context> io_;  // exchanged under mutex_, by the thread that runs it
  std::atomic<bool> stopped_{false};
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace replygate

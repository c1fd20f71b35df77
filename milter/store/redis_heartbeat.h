#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "milter/store/health.h"
#include "milter/store/redis_connection.h"

namespace replygate::redis {

// What follows from each failure.
constexpr std::string_view kOnStoreError = "on_store_error of each rule decides";

// Asks the server whether it is there, again and again, so that trouble shows and ends without any mail. On the store's
// thread.
class Heartbeat {
 public:
  // `connection` gives one that is ready, or null: then its own failures tell.
  Heartbeat(boost::asio::io_context& io, StoreHealth& health, std::chrono::nanoseconds timeout,
            std::function<std::shared_ptr<Connection>()> connection);

  void start() { beat_later(); }
  void stop() { timer_.cancel(); }

  // No server answers: trouble that is over as soon as one does. Others wait for a decision that succeeds, or for ten
  // seconds in which none has failed.
  void unreachable(const std::string& why);

 private:
  void beat_later();
  void beat();
  void answered(const std::string& failure);

  boost::asio::steady_timer timer_;
  StoreHealth& health_;
  const std::chrono::nanoseconds timeout_;
  const std::function<std::shared_ptr<Connection>()> connection_;
  std::string unreachable_;  // what was said last of that; "": a server has answered since
  int missed_ = 0;           // beats in a row
  bool beating_ = false;
};

}  // namespace replygate::redis

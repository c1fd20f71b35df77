#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>

#include "milter/store/redis_request.h"

namespace replygate::redis {

// Settlements that no server has confirmed. Each is told again, with growing pauses, until one has; by then it may have
// been heard more than once, so that each telling settles what is still reserved and nothing else. On the store's
// thread.
class Settlements {
 public:
  using Tell = std::function<void(const std::shared_ptr<Request>&)>;

  // `tell` passes a request on; `server` says whether there is one.
  Settlements(boost::asio::io_context& io, Tell tell, std::function<bool()> server);

  // A settlement that was told, and not confirmed; or whose reservation may be there without anybody knowing.
  void unconfirmed(const Request& request);
  // A server is there: tells all that is left at once.
  void tell_again();
  void stop() { timer_.cancel(); }

  std::size_t left() const { return left_.size(); }

 private:
  void wait();
  void tell_some();

  Tell tell_;
  std::function<bool()> server_;
  boost::asio::steady_timer timer_;
  std::chrono::milliseconds pause_;
  bool waiting_ = false;
  std::deque<std::shared_ptr<Request>> left_;
};

}  // namespace replygate::redis

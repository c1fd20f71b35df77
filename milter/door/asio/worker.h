#pragma once

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "milter/door/asio/deadlines.h"
#include "milter/door/services.h"
#include "milter/door/traffic.h"
#include "milter/log/throttle.h"
#include "milter/net/listening.h"

namespace replygate {

class MtaConnection;

// What all threads of the engine share. Outlives them.
struct EngineShared {
  const DoorServices& services;
  Traffic& traffic;
  Throttle troubles;

  const DoorBounds& bounds() const { return services.policy->settings().bounds; }
};

// What a connection may be waiting for, each with a time of its own.
enum class Waiting : std::uint8_t {
  idle,      // for a packet to begin
  stalled,   // for the rest of a packet, for the negotiation, or for its replies to be read
  decision,  // for a decision
};

// One thread that serves connections. What belongs to a connection runs on its thread, and so needs no lock.
class Worker {
 public:
  explicit Worker(EngineShared& shared);
  ~Worker();  // stops
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  void stop();  // closes all connections and joins the thread; from another one

  // Any thread. The socket belongs to context().
  void serve(StreamSocket socket, bool tcp);
  boost::asio::io_context& context() { return context_; }

  // On this worker's thread, for its connections.
  void wait_for(Waiting what, Deadlines::Item& connection);
  // Its flush() is called once all that is ready to be read has been: under load peers then wake up once for many
  // replies.
  void send_later(std::shared_ptr<MtaConnection> connection);
  // For one of them to receive into, until its handler returns.
  std::span<char> room() { return room_; }
  EngineShared& shared() { return shared_; }

 private:
  Deadlines& deadlines(Waiting what) { return deadlines_[static_cast<std::size_t>(what)]; }
  bool run();
  void wake_at(Deadlines::Time time);
  void on_wake();
  void flush_unsent();
  void close_all();

  EngineShared& shared_;
  // Before the context, whose end ends connections.
  std::array<Deadlines, 3> deadlines_;
  Deadlines::Time wake_ = Deadlines::Time::max();
  std::vector<std::shared_ptr<MtaConnection>> unsent_;
  std::vector<std::shared_ptr<MtaConnection>> spare_;  // empty; the memory of the next unsent_
  std::vector<char> room_;                             // for a packet of the body, and what follows it

  boost::asio::io_context context_{1};
  boost::asio::steady_timer timer_{context_};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{context_.get_executor()};
  bool stopping_ = false;  // on the thread
  std::thread thread_;
};

}  // namespace replygate

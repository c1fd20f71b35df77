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

#include "milter/descriptor.h"
#include "milter/door/asio/deadlines.h"
#include "milter/door/services.h"
#include "milter/door/traffic.h"
#include "milter/log/throttle.h"
#include "milter/net/socket_watch.h"

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

  // Any thread. The socket does not block.
  void serve(Descriptor socket, bool tcp);
  boost::asio::io_context& context() { return context_; }

  // On this worker's thread, for its connections.
  SocketWatch& watch() { return watch_; }
  void wait_for(Waiting what, Deadlines::Item& connection);
  // For one of them to receive into. What it has received stays there until it has been processed.
  std::span<char> room() { return std::span(room_).subspan(used_); }
  // Its process_received() is called soon, in a row with those of others: receiving, deciding, and sending each go
  // faster where nothing else is done between.
  void process_later(std::shared_ptr<MtaConnection> connection, std::string_view received);
  // Its flush() is called once these have been processed: under load peers then wake up once for many replies.
  void send_later(std::shared_ptr<MtaConnection> connection);
  EngineShared& shared() { return shared_; }

 private:
  Deadlines& deadlines(Waiting what) { return deadlines_[static_cast<std::size_t>(what)]; }
  bool run();
  void wake_at(Deadlines::Time time);
  void on_wake();
  void process_received();
  void flush_unsent();
  void close_all();

  EngineShared& shared_;
  // Before the context, whose end ends connections.
  std::array<Deadlines, 3> deadlines_;
  Deadlines::Time wake_ = Deadlines::Time::max();
  std::vector<std::shared_ptr<MtaConnection>> received_;
  std::size_t used_ = 0;  // of room_, by these
  std::vector<std::shared_ptr<MtaConnection>> unsent_;
  std::vector<std::shared_ptr<MtaConnection>> spare_;  // empty; the memory of the next unsent_
  std::vector<char> room_;

  boost::asio::io_context context_{1};
  boost::asio::steady_timer timer_{context_};
  SocketWatch watch_{context_, [this] { process_received(); }};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{context_.get_executor()};
  bool stopping_ = false;  // on the thread
  std::thread thread_;
};

}  // namespace replygate

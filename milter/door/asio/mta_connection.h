#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "milter/descriptor.h"
#include "milter/door/asio/deadlines.h"
#include "milter/door/asio/input_buffer.h"
#include "milter/door/asio/worker.h"
#include "milter/door/wire/dialogue.h"
#include "milter/net/socket_watch.h"

namespace replygate {

// One connection of an MTA: moves octets between its socket and its dialogue. On its worker's thread throughout.
// It takes the next packets, a few in a row, only when the last ones are answered and the answers are sent, so that
// what a peer can make it keep is bounded.
class MtaConnection final : public std::enable_shared_from_this<MtaConnection>,
                            public Deadlines::Item,
                            public SocketWatch::Socket {
 public:
  // Of a socket that does not block.
  MtaConnection(Worker& worker, Descriptor socket, bool tcp);
  ~MtaConnection() override;
  MtaConnection(const MtaConnection&) = delete;
  MtaConnection& operator=(const MtaConnection&) = delete;

  void start();
  void close();
  void on_deadline(Waiting what);
  void process_received();  // what was left to Worker::process_later
  void flush();             // what was left to Worker::send_later

 private:
  using Next = wire::Dialogue::Next;

  // What a step throws is said, and ends this connection alone.
  template <typename Step>
  void alone(const Step& step) noexcept;
  void on_ready() noexcept override;
  void wait_for(SocketWatch::For what);

  void read();
  void on_readable();
  void on_writable();
  void process();
  Next take_packet();
  void on_answer();
  void look_for_decision();
  void send();
  void go_on();
  void process_on();
  void acknowledge();
  void complain(std::string_view problem);

  Worker& worker_;
  Descriptor socket_;
  const bool tcp_;
  InputBuffer in_;
  std::size_t packet_ = 0;  // size of the packet that has begun to arrive; 0 if not known
  std::string out_;         // to be sent
  bool blocked_ = false;    // the peer must read before more is sent
  bool stalled_ = false;    // the time of a packet that has begun is running
  bool behind_ = false;     // whole packets may be left that have come
  bool posted_ = false;     // they will be processed

  bool unheard_ = false;  // the decision has come, and whoever brought it has had seconds to say so

  std::shared_ptr<MtaConnection> open_;  // keeps us while the socket is open
  // While a decision is under way: who keeps us and the worker alive.
  std::shared_ptr<MtaConnection> keep_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guard_;

  wire::Dialogue dialogue_;
};

}  // namespace replygate

#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "milter/door/asio/deadlines.h"
#include "milter/door/asio/input_buffer.h"
#include "milter/door/asio/worker.h"
#include "milter/door/wire/dialogue.h"
#include "milter/net/listening.h"

namespace replygate {

// One connection of an MTA: moves octets between its socket and its dialogue. On its worker's thread throughout.
// It takes the next packet only when the last one is answered and the answer is sent, so that what a peer can make it
// keep is bounded.
class MtaConnection final : public std::enable_shared_from_this<MtaConnection>, public Deadlines::Item {
 public:
  MtaConnection(Worker& worker, StreamSocket socket, bool tcp);
  ~MtaConnection();
  MtaConnection(const MtaConnection&) = delete;
  MtaConnection& operator=(const MtaConnection&) = delete;

  void start() { read(); }
  void close();
  void on_deadline(Waiting what);
  void flush();  // what was left to Worker::send_later

 private:
  using Next = wire::Dialogue::Next;

  void read();
  void on_readable(boost::system::error_code error);
  void process();
  Next take_packet();
  void on_answer();
  void send();
  void go_on();
  void acknowledge();
  void complain(std::string_view problem);

  Worker& worker_;
  StreamSocket socket_;
  const bool tcp_;
  InputBuffer in_;
  std::size_t packet_ = 0;  // size of the packet that has begun to arrive; 0 if not known
  std::string out_;         // to be sent
  bool blocked_ = false;    // the peer must read before more is sent
  bool reading_ = false;    // will be told when there is something to read
  bool stalled_ = false;    // the time of a packet that has begun is running

  bool unheard_ = false;  // the decision has come, and whoever brought it has had seconds to say so

  // While a decision is under way: who keeps us and the worker alive.
  std::shared_ptr<MtaConnection> keep_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guard_;

  wire::Dialogue dialogue_;
};

}  // namespace replygate

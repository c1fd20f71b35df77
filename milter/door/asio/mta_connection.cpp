#include "milter/door/asio/mta_connection.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio.hpp>

#include "milter/door/wire/replies.h"

namespace replygate {

namespace asio = boost::asio;
using boost::system::error_code;

MtaConnection::MtaConnection(Worker& worker, StreamSocket socket, bool tcp)
    : worker_(worker), socket_(std::move(socket)), tcp_(tcp), dialogue_(worker.shared().services, [this] {
        asio::post(worker_.context(), [self = shared_from_this()] { self->on_answer(); });
      }) {}

MtaConnection::~MtaConnection() { worker_.shared().traffic.end_session(); }

void MtaConnection::close() {
  error_code ignored;
  socket_.close(ignored);
}

void MtaConnection::read() {
  if (in_.empty() && dialogue_.negotiated()) {
    stalled_ = false;
    worker_.wait_for(Waiting::idle, *this);
  } else if (!stalled_) {
    stalled_ = true;
    worker_.wait_for(Waiting::stalled, *this);
  }
  if (std::exchange(reading_, true)) return;
  socket_.async_wait(StreamSocket::wait_read,
                     [self = shared_from_this()](error_code error) { self->on_readable(error); });
}

void MtaConnection::on_readable(error_code error) {
  reading_ = false;
  if (error || keep_ || !socket_.is_open()) return;  // the end of the last handler is the end of the connection
  const std::span<char> room = in_.prepare(worker_.room(), packet_);
  const std::size_t size = socket_.read_some(asio::buffer(room.data(), room.size()), error);
  if (error == asio::error::would_block) return read();
  if (error) return;
  in_.received(size);
  process();
}

void MtaConnection::process() {
  Next next = Next::read;
  if (keep_) {
    keep_.reset();
    next = dialogue_.resume(out_);
  }
  bool more = true;
  while (next == Next::read && more) {
    const std::size_t before = in_.octets().size();
    next = take_packet();
    more = in_.octets().size() != before;
  }
  in_.keep();
  if (next == Next::wait) {
    keep_ = shared_from_this();
    guard_.emplace(worker_.context().get_executor());
    unheard_ = false;
    worker_.wait_for(Waiting::decision, *this);
  }
  if (next != Next::read) send();
  if (next == Next::close) return close();
  if (next == Next::wait) return;
  if (!out_.empty()) return worker_.send_later(shared_from_this());
  acknowledge();
  read();
}

// An MTA that writes macros and command one by one (Sendmail) gets the command sent only once the macros are
// acknowledged, which without a reply to carry it would take 40 ms.
void MtaConnection::acknowledge() {
  const int on = 1;
  if (tcp_) ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

// Uses up nothing where no whole packet has come.
MtaConnection::Next MtaConnection::take_packet() {
  const auto most = static_cast<std::size_t>(worker_.shared().bounds().packet);
  const wire::Framed framed = wire::next_packet(in_.octets(), most);
  packet_ = framed.kind == wire::Framed::Kind::incomplete ? framed.size : 0;
  switch (framed.kind) {
    case wire::Framed::Kind::incomplete: return Next::read;
    case wire::Framed::Kind::too_long: complain("a packet beyond max_packet"); return Next::close;
    case wire::Framed::Kind::empty: complain("an empty packet"); return Next::close;
    case wire::Framed::Kind::packet: break;
  }
  const Next next = dialogue_.take(framed.packet, out_);
  if (!dialogue_.problem().empty()) complain(dialogue_.problem());
  in_.use(framed.size);
  stalled_ = false;
  return next;
}

void MtaConnection::on_answer() {
  if (!keep_ || !dialogue_.may_resume()) return;  // a sign of life came first
  guard_.reset();
  if (socket_.is_open()) return process();
  keep_.reset();
}

void MtaConnection::flush() {
  send();
  go_on();
}

void MtaConnection::go_on() {
  if (keep_ || !socket_.is_open()) return;
  if (out_.empty()) return read();
  out_.shrink_to_fit();
  worker_.wait_for(Waiting::stalled, *this);
}

void MtaConnection::send() {
  if (blocked_ || out_.empty() || !socket_.is_open()) return;
  error_code error;
  const std::size_t sent = socket_.write_some(asio::buffer(out_), error);
  if (error && error != asio::error::would_block) return close();
  out_.erase(0, sent);
  if (out_.empty()) return;
  blocked_ = true;
  socket_.async_wait(StreamSocket::wait_write, [self = shared_from_this()](error_code failed) {
    self->blocked_ = false;
    if (failed || !self->socket_.is_open()) return;
    self->send();
    if (self->out_.empty()) self->go_on();
  });
}

void MtaConnection::on_deadline(Waiting what) {
  if (what != Waiting::decision) return close();
  if (!keep_) return;                                                               // it has come meanwhile
  if (dialogue_.may_resume() && std::exchange(unheard_, true)) return on_answer();  // nobody could say so
  worker_.wait_for(Waiting::decision, *this);
  if (!dialogue_.may_progress() || blocked_) return;
  wire::append_progress(out_);
  send();
}

void MtaConnection::complain(std::string_view problem) {
  worker_.shared().troubles.say(fmt::format("milter protocol: {}; connection closed", problem));
}

}  // namespace replygate

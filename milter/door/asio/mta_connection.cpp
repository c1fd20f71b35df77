#include "milter/door/asio/mta_connection.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <cerrno>

#include "milter/door/wire/replies.h"
#include "milter/guarded.h"

namespace replygate {

namespace asio = boost::asio;

namespace {

// After so many packets of one peer it is the others' turn: who does not wait for replies can send thousands at once.
constexpr int kInARow = 64;

}  // namespace

MtaConnection::MtaConnection(Worker& worker, Descriptor socket, bool tcp)
    : worker_(worker), socket_(std::move(socket)), tcp_(tcp), dialogue_(worker.shared().services, [this] {
        asio::post(worker_.context(), [self = shared_from_this()] { self->on_answer(); });
      }) {
  worker_.shared().traffic.begin_session();
}

MtaConnection::~MtaConnection() { worker_.shared().traffic.end_session(); }

template <typename Step>
void MtaConnection::alone(const Step& step) noexcept {
  const auto alive = shared_from_this();
  if (!guarded("milter", step)) close();
}

void MtaConnection::start() {
  open_ = shared_from_this();
  alone([this] { read(); });
}

void MtaConnection::close() {
  if (!socket_.exists()) return;
  worker_.watch().forget(*this, socket_.get());
  socket_.reset();
  open_.reset();
}

void MtaConnection::wait_for(SocketWatch::For what) { worker_.watch().watch(*this, socket_.get(), what); }

void MtaConnection::read() {
  if (in_.empty() && dialogue_.negotiated()) {
    stalled_ = false;
    worker_.wait_for(Waiting::idle, *this);
  } else if (!stalled_) {
    stalled_ = true;
    worker_.wait_for(Waiting::stalled, *this);
  }
  wait_for(SocketWatch::For::reading);
}

void MtaConnection::on_ready() noexcept {
  alone([this] {
    if (blocked_) return on_writable();
    if (keep_ || behind_) return wait_for(SocketWatch::For::nothing);
    on_readable();
  });
}

void MtaConnection::on_readable() {
  const std::span<char> room = in_.prepare(worker_.room(), packet_);
  const ssize_t size = ::recv(socket_.get(), room.data(), room.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close();
  in_.received(static_cast<std::size_t>(size));
  worker_.process_later(shared_from_this(), in_.octets());
}

void MtaConnection::process_received() {
  alone([this] { process(); });
}

void MtaConnection::process() {
  Next next = Next::read;
  if (keep_) {
    keep_.reset();
    next = dialogue_.resume(out_);
  }
  bool more = true;
  for (int left = kInARow; next == Next::read && more && left > 0; --left) {
    const std::size_t before = in_.octets().size();
    next = take_packet();
    more = in_.octets().size() != before;
  }
  behind_ = next == Next::read && more;
  if (next == Next::wait) {  // first of all: whatever fails, the session lives until it is answered
    keep_ = shared_from_this();
    guard_.emplace(worker_.context().get_executor());
    unheard_ = false;
    worker_.wait_for(Waiting::decision, *this);
  }
  in_.keep();
  if (next != Next::read) send();
  if (next == Next::close) return close();
  if (next == Next::wait) return;
  if (!out_.empty()) return worker_.send_later(shared_from_this());
  if (!behind_) acknowledge();
  go_on();
}

// An MTA that writes macros and command one by one (Sendmail) gets the command sent only once the macros are
// acknowledged, which without a reply to carry it would take 40 ms.
void MtaConnection::acknowledge() {
  const int on = 1;
  if (tcp_) ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
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
  if (!socket_.exists()) return keep_.reset();
  alone([this] { process(); });
}

void MtaConnection::flush() {
  alone([this] {
    send();
    go_on();
  });
}

void MtaConnection::go_on() {
  if (keep_ || !socket_.exists()) return;
  if (out_.empty()) return behind_ ? process_on() : read();
  out_.shrink_to_fit();
  worker_.wait_for(Waiting::stalled, *this);
}

// What it has sent already is taken before more is read.
void MtaConnection::process_on() {
  worker_.wait_for(Waiting::idle, *this);
  if (posted_) return;
  asio::post(worker_.context(), [self = shared_from_this()] {
    self->posted_ = false;
    if (self->behind_ && self->socket_.exists()) self->process_received();
  });
  posted_ = true;
}

void MtaConnection::send() {
  if (blocked_ || out_.empty() || !socket_.exists()) return;
  const ssize_t sent = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return close();
  out_.erase(0, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  if (out_.empty()) return;
  blocked_ = true;
  wait_for(SocketWatch::For::writing);
}

void MtaConnection::on_writable() {
  blocked_ = false;
  send();
  if (blocked_ || !socket_.exists()) return;
  if (keep_) return wait_for(SocketWatch::For::nothing);
  go_on();
}

void MtaConnection::on_deadline(Waiting what) {
  if (what != Waiting::decision) return close();
  if (!keep_) return;  // it has come meanwhile
  alone([this] { look_for_decision(); });
}

void MtaConnection::look_for_decision() {
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

#include "milter/net/socket_watch.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <cerrno>

namespace replygate {
namespace {

// In a row, before whatever else the thread has to do.
constexpr int kRounds = 8;

boost::system::system_error last_error(const char* call) {
  return boost::system::system_error(errno, boost::system::system_category(), call);
}

int make_poll() {
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  if (poll < 0) throw last_error("epoll_create1");
  return poll;
}

}  // namespace

SocketWatch::SocketWatch(boost::asio::io_context& io, std::function<void()> told)
    : told_(std::move(told)), poll_(io, make_poll()) {}

// A hang-up is told whatever is asked for, so that a socket which is watched for nothing must not be there at all.
void SocketWatch::watch(Socket& socket, int descriptor, For what) {
  if (socket.watched_for_ == what) return;
  if (what == For::nothing) return forget(socket, descriptor);
  const int operation = socket.watched_for_ == For::nothing ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  epoll_event event{.events = static_cast<std::uint32_t>(what), .data = {.ptr = &socket}};
  if (::epoll_ctl(poll_.native_handle(), operation, descriptor, &event) != 0) throw last_error("epoll_ctl");
  socket.watched_for_ = what;
}

void SocketWatch::forget(Socket& socket, int descriptor) {
  if (std::exchange(socket.watched_for_, For::nothing) == For::nothing) return;
  ::epoll_ctl(poll_.native_handle(), EPOLL_CTL_DEL, descriptor, nullptr);
  for (epoll_event& event : untold_) {
    if (event.data.ptr == &socket) event.data.ptr = nullptr;
  }
}

void SocketWatch::start() {
  if (waiting_ || !poll_.is_open()) return;
  poll_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
    waiting_ = false;
    if (!error) on_readable();
  });
  waiting_ = true;
}

void SocketWatch::stop() {
  boost::system::error_code ignored;
  poll_.close(ignored);
}

// One that was ready alone is told at the least cost; where there were more, more have come meanwhile.
void SocketWatch::on_readable() {
  for (int round = 0; round < kRounds && poll_.is_open() && tell_ready() > 1; ++round) {
  }
  start();
}

std::size_t SocketWatch::tell_ready() {
  const int count = ::epoll_wait(poll_.native_handle(), events_.data(), static_cast<int>(events_.size()), 0);
  const auto ready = static_cast<std::size_t>(std::max(count, 0));
  untold_ = std::span(events_).first(ready);
  while (!untold_.empty()) {
    auto* socket = static_cast<Socket*>(untold_.front().data.ptr);
    untold_ = untold_.subspan(1);
    if (socket != nullptr) socket->on_ready();
  }
  told_();
  return ready;
}

}  // namespace replygate

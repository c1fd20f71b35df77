#pragma once

#include <sys/epoll.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <span>

namespace replygate {

// Tells many sockets that they can be read or written. All that are ready together cost one system call; where asio
// waits for each by itself, each wait costs one more. On the thread of the io_context, within which it waits.
class SocketWatch {
 public:
  enum class For : std::uint8_t { nothing = 0, reading = EPOLLIN, writing = EPOLLOUT };

  // To be derived from: who owns the descriptor. Not watched at first; to be forgotten before its descriptor is closed.
  class Socket {
   public:
    Socket() = default;
    virtual ~Socket() = default;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

   private:
    friend class SocketWatch;
    // It can do what it is watched for, or has failed. Again and again, until it has or is watched for something else.
    // It may watch and forget any socket.
    virtual void on_ready() noexcept = 0;

    For watched_for_ = For::nothing;
  };

  // `told` is called each time all that were ready together have been told. Throws boost::system::system_error where
  // the system gives no watch.
  SocketWatch(boost::asio::io_context& io, std::function<void()> told);
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  // Throws boost::system::system_error, and watches as before, where the system refuses.
  void watch(Socket& socket, int descriptor, For what);
  void forget(Socket& socket, int descriptor);

  void start();  // nothing where it has; again, where a handler has thrown
  void stop();   // nothing is told any more, and the io_context is not kept at work

 private:
  static constexpr std::size_t kTogether = 64;

  void on_readable();
  std::size_t tell_ready();

  const std::function<void()> told_;
  boost::asio::posix::stream_descriptor poll_;
  bool waiting_ = false;
  std::array<epoll_event, kTogether> events_{};
  std::span<epoll_event> untold_;  // of events_
};

}  // namespace replygate

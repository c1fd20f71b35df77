#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <tl/expected.hpp>

#include "milter/net/listening.h"

namespace replygate {

// A socket that listens, and one thread on which all that comes of it runs.
class StreamService {
 public:
  // False where there is no room for the client, which is closed then.
  using Serve = std::function<bool(StreamSocket)>;

  // `serve` is called on the thread for each client.
  StreamService(SocketAddress address, Serve serve) : address_(std::move(address)), serve_(std::move(serve)) {}
  ~StreamService() {
    stop([] {});
  }
  StreamService(const StreamService&) = delete;
  StreamService& operator=(const StreamService&) = delete;

  tl::expected<void, std::string> listen();  // or says why not
  void start();
  // `close_all` ends, on the thread, what is open; then the thread ends. Once.
  void stop(const std::function<void()>& close_all);

  boost::asio::io_context& io() { return io_; }
  const SocketAddress& address() const { return address_; }

 private:
  void accept();
  void accept_after(std::chrono::milliseconds pause);

  const SocketAddress address_;
  const Serve serve_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  boost::asio::steady_timer pause_{io_};
  std::optional<StreamAcceptor> acceptor_;
  std::thread thread_;
};

}  // namespace replygate

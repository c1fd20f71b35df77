#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tl/expected.hpp>

#include "milter/log/troubles.h"
#include "milter/net/listening.h"
#include "milter/net/socket_name.h"

namespace replygate {

class StreamServer;

// A connection of a StreamServer, on whose thread everything here runs.
class StreamClient : public std::enable_shared_from_this<StreamClient> {
 public:
  StreamClient(StreamSocket socket, StreamServer& server);
  StreamClient(const StreamClient&) = delete;
  StreamClient& operator=(const StreamClient&) = delete;
  virtual ~StreamClient() = default;

  // Once, as soon as there is room.
  virtual void start() = 0;
  void close();  // any number of times

 protected:
  // The connection is closed when that is over, unless it is given another time before.
  void give(std::chrono::milliseconds patience);
  void give_all_time();
  // It was idle and is served: others make room before it.
  void served();

  bool is_open() const { return socket_.is_open(); }
  StreamSocket& socket() { return socket_; }
  StreamServer& server() { return server_; }
  template <typename Client>
  std::shared_ptr<Client> self() {
    return std::static_pointer_cast<Client>(shared_from_this());
  }

 private:
  friend class StreamServer;
  virtual void closing() {}

  StreamSocket socket_;
  StreamServer& server_;
  boost::asio::steady_timer deadline_;
  std::list<std::shared_ptr<StreamClient>>::iterator place_;
};

// A socket that listens, its clients up to a bound, and one thread on which all that comes of them runs; what is thrown
// there ends a step alone. A Unix socket whose name somebody removes is bound again. Made, started and stopped by one
// thread.
class StreamServer {
 public:
  struct Plan {
    SocketAddress address;
    std::size_t most = 0;            // clients at a time
    bool oldest_makes_room = false;  // beyond that who is idle for longest is closed; else who comes is
    std::function<std::shared_ptr<StreamClient>(StreamSocket socket, StreamServer& server)> welcome;
    std::function<void()> crowded = [] {};  // each time that one is closed for want of room
    std::function<void()> ending = [] {};   // before clients are closed, on the thread that stops
    Troubles* troubles = nullptr;           // null: nobody wants to hear of them
  };

  // Binds and listens, or says why not. A stale Unix socket is replaced, that of a running process is not.
  static tl::expected<std::unique_ptr<StreamServer>, std::string> open(Plan plan);
  ~StreamServer() { stop(); }
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

  void start();
  void stop();  // closes all clients, and joins the thread

  boost::asio::io_context& io() { return io_; }

 private:
  friend class StreamClient;
  using Clients = std::list<std::shared_ptr<StreamClient>>;

  explicit StreamServer(Plan plan) : plan_(std::move(plan)), name_(plan_.address) {}

  void accept();
  void accept_after(std::chrono::milliseconds pause);
  bool serve(StreamSocket socket);  // false where there is no room
  void close_all();
  void look_at_name();
  void look_later();

  const Plan plan_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  boost::asio::steady_timer pause_{io_};
  boost::asio::steady_timer look_{io_};
  std::optional<StreamAcceptor> acceptor_;
  std::optional<StreamAcceptor> fresh_;  // takes its place, since its name was removed
  SocketName name_;
  Clients clients_;  // of the thread; who was served last is last
  std::thread thread_;
};

}  // namespace replygate

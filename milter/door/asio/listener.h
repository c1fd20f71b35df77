#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "milter/descriptor.h"
#include "milter/door/asio/worker.h"
#include "milter/log/throttle.h"
#include "milter/net/listening.h"
#include "milter/net/socket_name.h"
#include "policy/load/socket.h"

namespace replygate {

// A descriptor that is held so that there is one when all others are gone: free while accepting pauses, for whatever
// the rest of the daemon has to open. One thread.
class ReserveDescriptor {
 public:
  ReserveDescriptor() { take(); }

  bool take();  // true where it is held
  void release() { descriptor_.reset(); }

 private:
  Descriptor descriptor_;
};

// Takes connections from one listening socket and deals them out to the workers. On the first worker's thread, where
// nothing else is said. Pauses while there are too many connections or no descriptors left, and says so. A Unix socket
// whose name somebody removes is bound again within a second.
class Listener : public SocketWatch::Socket {
 public:
  Listener(StreamAcceptor acceptor, SocketAddress address, const std::vector<std::unique_ptr<Worker>>& workers,
           EngineShared& shared);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start();

  // The socket was handed over, so that a successor may take what comes.
  bool passed() const { return address_.family == SocketAddress::Family::descriptor; }

  // Takes what waits already, unless another process may take it, and closes. A Unix path of ours is removed.
  void stop();

 private:
  bool is_open() const { return socket_.exists(); }
  void watch_for(SocketWatch::For what);
  void on_ready() noexcept override;
  void accept();
  bool take_one_of(const Descriptor& socket);
  bool take_one() { return take_one_of(socket_); }
  void take_all();
  void serve(Descriptor socket);
  void close();
  void pause(std::string_view why);
  void wake_later();
  void go_on() noexcept;
  void listen();
  bool full();
  void look_at_name();
  void look_later();

  Descriptor socket_;
  std::vector<Descriptor> before_;  // whose names are gone, as long as somebody waits there; the first one first
  const SocketAddress address_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  EngineShared& shared_;
  const bool tcp_;  // else a Unix socket
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer look_;
  SocketName name_;
  ReserveDescriptor reserve_;
  Throttle starving_;
  Throttle again_;
  std::size_t next_ = 0;  // worker
  bool paused_ = false;
};

}  // namespace replygate

#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "milter/net/stream.h"
#include "milter/net/tls.h"
#include "milter/store/redis_reply.h"
#include "policy/load/socket.h"

namespace replygate::redis {

// Whom the connections of a store try, all in the same order; who fails makes all try the next one. Used by one thread.
class Servers {
 public:
  explicit Servers(std::vector<SocketAddress> all) : all_(std::move(all)) {}
  const SocketAddress& current() const { return all_[current_]; }
  // Gives up `failed`, unless somebody has already.
  void leave(const SocketAddress& failed);
  // A server of a cluster says who has the counters.
  void go_to(SocketAddress address);

 private:
  std::vector<SocketAddress> all_;
  std::size_t current_ = 0;
};

// One connection, kept up as long as it is wanted: connects, logs in, makes sure that it talks to a primary, loads the
// script, and begins anew where anything fails. Commands are pipelined, a few at a time, so that a server that stands
// still is not sent more than that. Used by one thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Options {
    std::string user;
    std::string password;
    bool tls = false;
    std::string script;
  };
  // The replies to the commands of one request, or none and the reason.
  using Answered = std::function<void(std::vector<Reply> replies, const std::string& failure)>;
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kInFlight = 5;

  // What it hears of: why it is not ready, and each time that it becomes ready or is so no more.
  struct Events {
    std::function<void(const std::string&)> failed;
    std::function<void()> changed;
  };

  // What it refers to outlives it; `tls` may be null.
  Connection(boost::asio::io_context& io, Servers& servers, const Options& options, boost::asio::ssl::context* tls,
             Events events);

  void start() { connect(); }
  void stop();

  bool ready() const { return state_ == State::ready; }
  std::size_t load() const { return waiting_.size() + flying_.size(); }
  // `commands` commands in one go. `answered` is called exactly once, at the latest at `deadline`.
  void send(std::string octets, std::size_t commands, Time deadline, Answered answered);
  // What was answered shows that this server is of no use now.
  void give_up(const std::string& why);
  void redirect(const SocketAddress& address);

 private:
  enum class State : std::uint8_t { down, connecting, greeting, ready, stopped };
  struct Request {
    std::string octets;
    std::size_t commands = 1;
    Time deadline;
    Answered answered;  // null: nobody waits any more
    std::vector<Reply> replies = {};
  };
  using Error = boost::system::error_code;
  // One attempt to be connected; it lives until the last operation on it has ended.
  struct Link {
    explicit Link(boost::asio::io_context& io) : socket(io) {}
    StreamSocket socket;
    std::unique_ptr<net::TlsStream> tls;
    std::array<char, 16384> in{};
    std::string out;  // being written
    ReplyReader reader;
  };

  void connect();
  void connect_to(std::vector<StreamEndpoint> addresses);
  void shake_hands();
  void greet();
  void greeted(const std::vector<Reply>& replies);
  void down(const std::string& why, bool next_server);
  void write_soon();
  void write();
  void read();
  void received(const Error& error, std::size_t size);
  void take_replies(std::size_t size);
  void take_reply(Reply reply);
  void watch();
  void wake_by(Time deadline);
  void expire();
  void tell_readiness();
  template <typename Step>
  void guard(Step step);
  template <typename Handler>
  auto bound(Handler handler);

  boost::asio::io_context& io_;
  Servers& servers_;
  const Options& options_;
  boost::asio::ssl::context* tls_context_;
  Events events_;
  SocketAddress server_;
  State state_ = State::down;
  net::Resolver resolver_;
  std::shared_ptr<Link> link_;          // what an older one still reports does not count
  boost::asio::steady_timer retry_;     // connects again, or gives up connecting
  boost::asio::steady_timer deadline_;  // of the first request that is due, or earlier
  Time wake_ = Time::max();             // when it goes off
  bool writing_ = false;
  bool write_posted_ = false;
  bool served_ = false;  // a request, since it is ready
  bool told_ready_ = false;
  std::deque<Request> waiting_;
  std::deque<Request> flying_;
  std::size_t unanswered_ = 0;  // in flight, and nobody waits any more
};

}  // namespace replygate::redis

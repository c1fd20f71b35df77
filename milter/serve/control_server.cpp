#include "milter/serve/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <deque>
#include <future>
#include <set>

#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/log/throttle.h"
#include "milter/net/stream_service.h"
#include "milter/serve/control_commands.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Error = boost::system::error_code;

constexpr std::size_t kMostCommand = std::size_t{64} << 10;
constexpr std::size_t kMostUnread = std::size_t{1} << 20;  // octets of records that a watcher may be behind
constexpr std::size_t kMostCommanders = 64;
constexpr std::chrono::seconds kRequestPatience{5};

// Of the process at the other end, as the kernel knows it.
bool may_command(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid() || peer.gid == ::getegid()) return true;
  std::array<gid_t, 256> groups{};
  size = sizeof groups;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return false;
  const auto end = groups.begin() + static_cast<std::ptrdiff_t>(size / sizeof(gid_t));
  return std::find(groups.begin(), end, ::getegid()) != end;
}

}  // namespace

class ControlServer::Server {
 public:
  Server(Desk& desk, const std::string& address)
      : desk_(desk),
        service_(SocketAddress::parse(address).value(), [this](StreamSocket s) { return serve(std::move(s)); }) {}
  ~Server() { stop(); }

  tl::expected<void, std::string> listen() { return service_.listen(); }
  void start() { service_.start(); }
  void stop();

 private:
  class Connection;

  bool serve(StreamSocket socket);

  Desk& desk_;
  Throttle troubles_;
  std::set<std::shared_ptr<Connection>> connections_;  // of the service's thread
  StreamService service_;
  asio::thread_pool workers_{1};  // carries out commands, one after the other
};

// A client. Everything runs on the server's thread, but for commands.
class ControlServer::Server::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(StreamSocket socket, Server& server)
      : server_(server), socket_(std::move(socket)), timer_(server.service_.io()) {}

  void start() {
    if (may_command(socket_.native_handle())) return read();
    say_last({.status = kUnavailable, .error = "only root, the daemon's user and members of its group may command it"});
  }

  void close() {
    timer_.cancel();
    if (watch_ != 0) server_.desk_.tail.unwatch(std::exchange(watch_, 0));
    Error ignored;
    socket_.close(ignored);
    server_.connections_.erase(shared_from_this());
  }

 private:
  void read() {
    wait();
    net::read_until(socket_, in_, kMostCommand, "\n", [self = shared_from_this()](Error error, std::size_t size) {
      if (error == asio::error::not_found) {
        return self->say_last({.status = kUsage, .error = "a request has at most 64 KiB"});
      }
      if (error || !self->socket_.is_open()) return self->close();
      self->timer_.cancel();
      const std::string line = self->in_.substr(0, size);
      self->in_.erase(0, size);
      self->obey(line);
    });
  }

  void wait() {
    timer_.expires_after(kRequestPatience);
    timer_.async_wait([weak = weak_from_this()](Error error) {
      const auto self = weak.lock();
      if (!error && self != nullptr) self->close();
    });
  }

  void obey(const std::string& line) {
    Error error;
    const json::value value = json::parse(line, error);
    if (error || !value.is_object()) return say_last({.status = kUsage, .error = "a request is a JSON object"});
    const json::object& request = value.as_object();
    if (text_at(request, "command") == "tail") return watch(request);
    asio::post(server_.workers_, [self = shared_from_this(), request] {
      // Waiting here keeps the server from ending before a store has answered.
      std::promise<ControlAnswer> answer;
      answer_request(self->server_.desk_, request, [&](ControlAnswer a) { answer.set_value(std::move(a)); });
      asio::post(self->server_.service_.io(), [self, line = answer.get_future().get().line()]() mutable {
        self->send(std::move(line));
        self->read();
      });
    });
  }

  void watch(const json::object& request) {
    Tail::Filter filter{.address = text_at(request, "address"), .rule = text_at(request, "rule")};
    if (const json::value* code = request.if_contains("code"); code != nullptr && code->is_int64()) {
      filter.code = static_cast<int>(code->as_int64());
    }
    if (const std::string from = text_at(request, "ip"); !from.empty()) {
      filter.from = IpNetwork::parse(from);
      if (!filter.from) return say_last({.status = kUsage, .error = "ip is an address or a network"});
    }
    send(ControlAnswer{.result = {{"watching", true}}}.line());
    watch_ = server_.desk_.tail.watch(
        std::move(filter), [weak = weak_from_this(), &io = server_.service_.io()](const std::string& record) {
          asio::post(io, [weak, line = std::string(record)]() mutable {
            if (const auto self = weak.lock()) self->pass_on(std::move(line));
          });
        });
    await_end();
  }

  // A watcher says nothing more; what comes is its end.
  void await_end() {
    net::read_some(socket_, spoken_, [self = shared_from_this()](Error, std::size_t) { self->close(); });
  }

  void pass_on(std::string record) {
    if (unread_ > kMostUnread) {
      ++left_out_;
      return;
    }
    send(std::move(record));
  }

  // Once the watcher has read what it was behind.
  void tell_left_out() {
    out_.push_back(fmt::format("{{\"left_out\":{}}}\n", std::exchange(left_out_, 0)));
    unread_ += out_.back().size();
  }

  void send(std::string text) {
    if (!socket_.is_open()) return;
    unread_ += text.size();
    out_.push_back(std::move(text));
    if (out_.size() == 1) write();
  }

  void write() {
    net::write(socket_, out_.front(), [self = shared_from_this()](Error error, std::size_t size) {
      if (error || !self->socket_.is_open()) return self->close();
      self->unread_ -= size;
      self->out_.pop_front();
      if (self->out_.empty() && self->left_out_ > 0) self->tell_left_out();
      if (!self->out_.empty()) return self->write();
      if (self->last_) self->close();
    });
  }

  void say_last(const ControlAnswer& answer) {
    last_ = true;
    wait();
    send(answer.line());
  }

  Server& server_;
  StreamSocket socket_;
  asio::steady_timer timer_;
  std::string in_;
  std::array<char, 1> spoken_{};  // by a watcher
  std::deque<std::string> out_;
  std::size_t unread_ = 0;
  std::int64_t left_out_ = 0;
  std::uint64_t watch_ = 0;
  bool last_ = false;
};

bool ControlServer::Server::serve(StreamSocket socket) {
  if (connections_.size() >= kMostCommanders) {
    troubles_.say("control: too many connections; one was closed");
    return false;
  }
  const auto connection = std::make_shared<Connection>(std::move(socket), *this);
  connections_.insert(connection);
  connection->start();
  return true;
}

void ControlServer::Server::stop() {
  workers_.join();
  service_.stop([this] {
    for (const auto& connection : std::set(connections_)) connection->close();
  });
}

ControlServer::ControlServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
ControlServer::~ControlServer() = default;

tl::expected<std::unique_ptr<ControlServer>, std::string> ControlServer::open(const std::string& address, Desk& desk) {
  auto server = std::make_unique<Server>(desk, address);
  if (auto listening = server->listen(); !listening) return tl::unexpected(listening.error());
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(server)));
}

void ControlServer::start() { server_->start(); }
void ControlServer::stop() { server_->stop(); }

}  // namespace replygate

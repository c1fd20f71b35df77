#include "milter/serve/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <deque>
#include <future>

#include "milter/exit_status.h"
#include "milter/guarded.h"
#include "milter/json_members.h"
#include "milter/log/throttle.h"
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

// What the connections have in common.
struct Commands {
  explicit Commands(Desk& d) : desk(d) {}

  Desk& desk;
  Throttle crowded;
  asio::thread_pool workers{1};  // carries them out, one after the other
};

// Everything runs on the server's thread, but for commands.
class Commander final : public StreamClient {
 public:
  Commander(StreamSocket socket, StreamServer& server, Commands& commands)
      : StreamClient(std::move(socket), server), commands_(commands) {}

  void start() override {
    if (may_command(socket().native_handle())) return read();
    say_last({.status = kUnavailable, .error = "only root, the daemon's user and members of its group may command it"});
  }

 private:
  void closing() override {
    if (watch_ != 0) commands_.desk.tail.unwatch(std::exchange(watch_, 0));
  }

  void read() {
    give(kRequestPatience);
    net::read_until(socket(), in_, kMostCommand, "\n", [self = self<Commander>()](Error error, std::size_t size) {
      if (error == asio::error::not_found) {
        return self->say_last({.status = kUsage, .error = "a request has at most 64 KiB"});
      }
      if (error || !self->is_open()) return self->close();
      self->give_all_time();
      const std::string line = self->in_.substr(0, size);
      self->in_.erase(0, size);
      self->obey(line);
    });
  }

  void obey(const std::string& line) {
    Error error;
    const json::value value = json::parse(line, error);
    if (error || !value.is_object()) return say_last({.status = kUsage, .error = "a request is a JSON object"});
    const json::object& request = value.as_object();
    if (text_at(request, "command") == "tail") return watch(request);
    asio::post(commands_.workers, [self = self<Commander>(), request] {
      // Waiting here keeps the server from ending before a store has answered.
      guarded("control", [&] { self->carry_out(request); });
    });
  }

  // Whoever was to answer and has given up has let go of the promise.
  void carry_out(const json::object& request) {
    auto answer = std::make_shared<std::promise<ControlAnswer>>();
    auto future = answer->get_future();
    answer_request(commands_.desk, request,
                   [answer = std::move(answer)](ControlAnswer a) { answer->set_value(std::move(a)); });
    std::string line = line_of(future);
    asio::post(server().io(), [self = self<Commander>(), line = std::move(line)]() mutable {
      self->send(std::move(line));
      self->read();
    });
  }

  static std::string line_of(std::future<ControlAnswer>& future) try {
    return future.get().line();
  } catch (const std::exception& error) {
    return ControlAnswer{.status = kInternal, .error = error.what()}.line();
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
    const json::value* outcomes = request.if_contains("outcomes");
    filter.outcomes = outcomes != nullptr && outcomes->is_bool() && outcomes->get_bool();
    if (filter.outcomes && (!filter.rule.empty() || filter.code != 0)) {
      return say_last({.status = kUsage, .error = "outcomes have no rule and no code of ours"});
    }
    if (filter.outcomes && commands_.desk.outcomes == nullptr) {
      return say_last(
          {.status = kUnavailable, .error = "no outcomes are known; [outcomes] in the policy names the log"});
    }
    send(ControlAnswer{.result = {{"watching", true}}}.line());
    watch_ = commands_.desk.tail.watch(
        std::move(filter), [weak = std::weak_ptr(self<Commander>()), &io = server().io()](const std::string& record) {
          asio::post(io, [weak, line = std::string(record)]() mutable {
            if (const auto self = weak.lock()) self->pass_on(std::move(line));
          });
        });
    await_end();
  }

  // A watcher says nothing more; what comes is its end.
  void await_end() {
    net::read_some(socket(), spoken_, [self = self<Commander>()](Error, std::size_t) { self->close(); });
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
    if (!is_open()) return;
    unread_ += text.size();
    out_.push_back(std::move(text));
    if (out_.size() == 1) write();
  }

  void write() {
    net::write(socket(), out_.front(), [self = self<Commander>()](Error error, std::size_t size) {
      if (error || !self->is_open()) return self->close();
      self->unread_ -= size;
      self->out_.pop_front();
      if (self->out_.empty() && self->left_out_ > 0) self->tell_left_out();
      if (!self->out_.empty()) return self->write();
      if (self->last_) self->close();
    });
  }

  void say_last(const ControlAnswer& answer) {
    last_ = true;
    give(kRequestPatience);
    send(answer.line());
  }

  Commands& commands_;
  std::string in_;
  std::array<char, 1> spoken_{};  // by a watcher
  std::deque<std::string> out_;
  std::size_t unread_ = 0;
  std::int64_t left_out_ = 0;
  std::uint64_t watch_ = 0;
  bool last_ = false;
};

}  // namespace

tl::expected<std::unique_ptr<StreamServer>, std::string> open_control_server(const std::string& address, Desk& desk) {
  const auto commands = std::make_shared<Commands>(desk);
  return StreamServer::open({
      .address = SocketAddress::parse(address).value(),
      .most = kMostCommanders,
      .welcome =
          [commands](StreamSocket socket, StreamServer& server) {
            return std::make_shared<Commander>(std::move(socket), server, *commands);
          },
      .crowded = [commands] { commands->crowded.say("control: too many connections; one was closed"); },
      .ending = [commands] { commands->workers.join(); },
      .troubles = &desk.troubles,
  });
}

}  // namespace replygate

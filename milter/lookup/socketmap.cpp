#include <array>
#include <boost/asio.hpp>
#include <deque>
#include <vector>

#include "milter/lookup/live_backend.h"
#include "milter/lookup/live_sources.h"
#include "milter/lookup/netstring.h"
#include "milter/net/stream.h"
#include "policy/load/socket.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kMostConnections = 16;

struct SocketmapQuestion {
  std::string key;
  LiveBackend::Heard heard;
};

// One connection, which asks one question at a time.
class SocketmapConnection : public std::enable_shared_from_this<SocketmapConnection> {
 public:
  using Free = std::function<void(std::shared_ptr<SocketmapConnection>, bool reusable)>;

  SocketmapConnection(asio::io_context& loop, const LiveSource& source, Free free)
      : source_(source),
        server_(*SocketAddress::parse_server(source.server)),
        socket_(loop),
        resolver_(loop),
        timer_(loop),
        free_(std::move(free)) {}

  void ask(SocketmapQuestion question) {
    out_ = netstring(source_.table + ' ' + question.key);
    in_.clear();
    heard_ = std::move(question.heard);
    timer_.expires_after(source_.timeout);
    timer_.async_wait([self = shared_from_this()](error_code cancelled) {
      // The handler of an earlier question may have been queued already.
      const bool due = !cancelled && self->timer_.expiry() <= std::chrono::steady_clock::now();
      if (due) self->give_up("no answer in time");
    });
    drop_unasked();
    used_before_ = socket_.is_open();
    used_before_ ? write() : connect();
  }

  // Nobody is told any more.
  void end() {
    heard_ = nullptr;
    free_ = nullptr;
    timer_.cancel();
    resolver_.cancel();
    close();
  }

 private:
  // What came behind the last answer would be taken for that of this question.
  void drop_unasked() {
    error_code error;
    if (socket_.is_open() && (socket_.available(error) > 0 || error)) close();
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

  void connect() {
    net::connect(socket_, resolver_, server_, [self = shared_from_this()](error_code error) {
      if (!self->heard_) return;
      error ? self->fail(error) : self->write();
    });
  }

  void write() {
    net::write(socket_, out_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!self->heard_) return;
      error ? self->fail(error) : self->read();
    });
  }

  void read() {
    net::read_some(socket_, room_, [self = shared_from_this()](error_code error, std::size_t octets) {
      if (!self->heard_) return;
      if (error) return self->fail(error);
      self->in_.append(self->room_.data(), octets);
      self->look();
    });
  }

  void look() {
    const Netstring reply = read_netstring(in_, LiveSources::kLongestAnswer);
    if (reply.state == Netstring::State::wanting) return read();
    if (reply.state == Netstring::State::wrong) return give_up("what came is not an answer, or too long");
    std::string why;
    const LiveAnswer answer = meaning_of_socketmap_reply(reply.text, why);
    conclude(answer, {why, false}, in_.size() == reply.octets);
  }

  // A connection kept from an earlier question may have ended meanwhile; that says nothing of the server.
  void fail(error_code why) {
    if (in_.empty() && std::exchange(used_before_, false)) {
      close();
      return connect();
    }
    give_up(why == asio::error::eof ? "it has closed the connection" : why.message());
  }

  void give_up(const std::string& why) { conclude({}, {why, true}, false); }

  void conclude(const LiveAnswer& answer, const LiveBackend::Failure& failure, bool reusable) {
    if (!heard_) return;
    timer_.cancel();
    if (!reusable) {
      resolver_.cancel();
      close();
    }
    const LiveBackend::Heard heard = std::exchange(heard_, nullptr);
    const auto self = shared_from_this();
    if (free_) free_(self, reusable);
    heard(answer, failure);
  }

  const LiveSource& source_;
  const SocketAddress server_;
  StreamSocket socket_;
  net::Resolver resolver_;
  asio::steady_timer timer_;
  Free free_;
  bool used_before_ = false;
  std::string out_;
  std::string in_;
  std::array<char, 4096> room_{};
  LiveBackend::Heard heard_;
};

class SocketmapBackend final : public LiveBackend {
 public:
  SocketmapBackend(asio::io_context& loop, const LiveSource& source) : loop_(loop), source_(source) {}
  ~SocketmapBackend() override {
    for (const auto& connection : busy_) connection->end();
    for (const auto& connection : idle_) connection->end();
  }
  SocketmapBackend(const SocketmapBackend&) = delete;
  SocketmapBackend& operator=(const SocketmapBackend&) = delete;

  void ask(const std::string& key, Heard heard) override {
    questions_.push_back({key, std::move(heard)});
    go_on();
  }

 private:
  void go_on() {
    while (!questions_.empty() && (!idle_.empty() || busy_.size() < kMostConnections)) {
      std::shared_ptr<SocketmapConnection> connection = idle_.empty() ? made() : idle_.back();
      if (!idle_.empty()) idle_.pop_back();
      busy_.push_back(connection);
      SocketmapQuestion question = std::move(questions_.front());
      questions_.pop_front();
      connection->ask(std::move(question));
    }
  }

  std::shared_ptr<SocketmapConnection> made() {
    return std::make_shared<SocketmapConnection>(
        loop_, source_, [this](const std::shared_ptr<SocketmapConnection>& connection, bool reusable) {
          std::erase(busy_, connection);
          if (reusable) idle_.push_back(connection);
          asio::post(loop_, [this, alive = std::weak_ptr<int>(alive_)] {
            if (!alive.expired()) go_on();
          });
        });
  }

  asio::io_context& loop_;
  const LiveSource source_;
  std::deque<SocketmapQuestion> questions_;
  std::vector<std::shared_ptr<SocketmapConnection>> busy_;
  std::vector<std::shared_ptr<SocketmapConnection>> idle_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

std::unique_ptr<LiveBackend> open_socketmap(asio::io_context& loop, const LiveSource& source) {
  return std::make_unique<SocketmapBackend>(loop, source);
}

}  // namespace replygate

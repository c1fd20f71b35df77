#include "milter/door/delegation.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <list>

#include "milter/door/delegation_protocol.h"
#include "milter/guarded.h"
#include "milter/log/throttle.h"
#include "milter/net/stream_service.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kMostRequest = std::size_t{64} << 10;
constexpr std::size_t kMostConversations = 1000;
constexpr std::chrono::seconds kMostIdle{
    400};  // Postfix gives one up after 300 seconds (smtpd_policy_service_max_idle)

// Lets refusals through: what passes here is recorded by the milter door.
class RefusalsOnly final : public RecordSink {
 public:
  explicit RefusalsOnly(RecordSink& next) : next_(next) {}
  void write(const Record& record) override {
    if (record.ending == Ending::refused) next_.write(record);
  }

 private:
  RecordSink& next_;
};

Answer judge(const DelegationRequest& request, const DoorServices& services) {
  RefusalsOnly sink(services.sink);
  Session session(services.policy_now(), {services.gate, sink, services.references, nullptr, services.own},
                  {.name = "policy_service", .counters = false, .early = false, .beyond = kBeyondDelegation});
  const Instant now = services.clock.now();
  Answer last;
  // Without counters every decision is made before its call returns.
  const auto keep = [&last](Answer answer) { last = std::move(answer); };
  session.connect(request.connect, now, keep);
  session.helo(request.helo, now, keep);
  session.mail(request.mail, now, keep);
  if (!last.refusal && !request.rcpt.recipient.empty()) session.rcpt(request.rcpt, now, keep);
  session.abort(now);
  return last;
}

}  // namespace

// At the limit whoever has been idle for longest makes room: the MTA finds out, and connects anew when it needs to.
class DelegationDoor::Server {
 public:
  Server(const SocketAddress& address, DoorServices services)
      : services_(std::move(services)), service_(address, [this](StreamSocket s) { return serve(std::move(s)); }) {}
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  tl::expected<void, std::string> listen() { return service_.listen(); }
  void start() { service_.start(); }
  void stop();

 private:
  class Conversation;
  using Conversations = std::list<std::shared_ptr<Conversation>>;

  bool serve(StreamSocket socket);

  const DoorServices services_;
  Throttle crowded_;
  Conversations conversations_;  // of the service's thread; who was served last is last
  StreamService service_;
};

// One connection of the MTA: request, answer, request … A request that comes slower than it may, and a connection that
// is idle for longer than Postfix lets one be, end.
class DelegationDoor::Server::Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(StreamSocket socket, Server& server)
      : socket_(std::move(socket)), server_(server), timer_(server.service_.io()) {
    error_code ignored;
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  }

  void start(Conversations::iterator place) {
    place_ = place;
    read();
  }

  void close() {
    if (!socket_.is_open()) return;
    timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
    server_.conversations_.erase(place_);
  }

 private:
  void read() {
    server_.conversations_.splice(server_.conversations_.end(), server_.conversations_, place_);
    timer_.expires_after(kMostIdle);
    timer_.async_wait([weak = weak_from_this()](error_code cancelled) {
      const auto self = weak.lock();
      if (!cancelled && self != nullptr) self->close();
    });
    net::read_until(socket_, in_, kMostRequest, "\n\n",
                    [self = shared_from_this()](error_code error, std::size_t length) {
                      error || !self->socket_.is_open() ? self->close() : self->answer(length);
                    });
  }

  void answer(std::size_t length) {
    const auto request = parse_delegation_request(std::string_view(in_).substr(0, length - 1));
    const bool judged =
        request && guarded("policy service", [&] { out_ = delegation_reply(judge(*request, server_.services_)); });
    if (!judged) return close();  // Postfix takes that as "cannot tell" and goes by its own settings
    in_.erase(0, length);
    net::write(socket_, out_, [self = shared_from_this()](error_code error, std::size_t) {
      error || !self->socket_.is_open() ? self->close() : self->read();
    });
  }

  StreamSocket socket_;
  Server& server_;
  asio::steady_timer timer_;
  Conversations::iterator place_;
  std::string in_;
  std::string out_;
};

void DelegationDoor::Server::stop() {
  service_.stop([this] {
    for (const auto& conversation : Conversations(conversations_)) conversation->close();
  });
}

bool DelegationDoor::Server::serve(StreamSocket socket) {
  if (conversations_.size() >= kMostConversations) {
    services_.traffic.turn_away();
    crowded_.say(
        fmt::format("policy service: {} connections are open; the one idle for longest is closed", kMostConversations));
    conversations_.front()->close();
  }
  const auto conversation = std::make_shared<Conversation>(std::move(socket), *this);
  conversation->start(conversations_.insert(conversations_.end(), conversation));
  return true;
}

DelegationDoor::DelegationDoor(std::unique_ptr<Server> server) : server_(std::move(server)) {}
DelegationDoor::~DelegationDoor() { stop(); }

tl::expected<std::unique_ptr<DelegationDoor>, std::string> DelegationDoor::open(const SocketAddress& address,
                                                                                DoorServices services) {
  auto server = std::make_unique<Server>(address, std::move(services));
  if (auto listening = server->listen(); !listening) return tl::unexpected(std::move(listening.error()));
  return std::unique_ptr<DelegationDoor>(new DelegationDoor(std::move(server)));
}

void DelegationDoor::start() { server_->start(); }
void DelegationDoor::stop() { server_->stop(); }

}  // namespace replygate

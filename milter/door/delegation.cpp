#include "milter/door/delegation.h"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <thread>

#include "milter/door/delegation_protocol.h"
#include "milter/door/listening.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kMostRequest = std::size_t{64} << 10;
constexpr std::size_t kMostConnections = 1000;

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
  Session session(services.policy_now(), {services.gate, sink, services.references},
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

// One connection of the MTA: request, answer, request …
class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(StreamSocket socket, const DoorServices& services, std::size_t& open)
      : socket_(std::move(socket)), services_(services), open_(open) {
    ++open_;
  }
  ~Conversation() { --open_; }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(in_, kMostRequest), "\n\n",
                           [self = shared_from_this()](error_code error, std::size_t length) {
                             if (!error) self->answer(length);
                           });
  }

 private:
  void answer(std::size_t length) {
    const auto request = parse_delegation_request(std::string_view(in_).substr(0, length - 1));
    if (!request) return;  // closes: Postfix takes that as "cannot tell" and goes by its own settings
    out_ = delegation_reply(judge(*request, services_));
    in_.erase(0, length);
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->read();
    });
  }

  StreamSocket socket_;
  const DoorServices& services_;
  std::size_t& open_;
  std::string in_;
  std::string out_;
};

}  // namespace

class DelegationDoor::Server {
 public:
  explicit Server(DoorServices services) : services_(std::move(services)) {}

  tl::expected<void, std::string> listen(const SocketAddress& address) {
    auto acceptor = listen_on(context_, address);
    if (!acceptor) return tl::unexpected(std::move(acceptor.error()));
    acceptor_ = *std::move(acceptor);
    return {};
  }

  void start() {
    accept();
    thread_ = std::thread([this] { context_.run(); });
  }

  void stop() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code error, StreamSocket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && open_ < kMostConnections)
        std::make_shared<Conversation>(std::move(socket), services_, open_)->read();
      if (!error) return accept();
      // Without descriptors accept fails at once, again and again: let some connection end first.
      pause_.expires_after(std::chrono::milliseconds(100));
      pause_.async_wait([this](error_code) { accept(); });
    });
  }

  // Declared before the context, whose destruction ends connections that refer to them.
  DoorServices services_;
  std::size_t open_ = 0;
  asio::io_context context_{1};
  StreamAcceptor acceptor_{context_};
  asio::steady_timer pause_{context_};
  std::thread thread_;
};

DelegationDoor::DelegationDoor(std::unique_ptr<Server> server) : server_(std::move(server)) {}
DelegationDoor::~DelegationDoor() { stop(); }

tl::expected<std::unique_ptr<DelegationDoor>, std::string> DelegationDoor::open(const SocketAddress& address,
                                                                                DoorServices services) {
  auto server = std::make_unique<Server>(std::move(services));
  if (auto listening = server->listen(address); !listening) return tl::unexpected(std::move(listening.error()));
  return std::unique_ptr<DelegationDoor>(new DelegationDoor(std::move(server)));
}

void DelegationDoor::start() { server_->start(); }
void DelegationDoor::stop() { server_->stop(); }

}  // namespace replygate

#include "milter/door/delegation.h"

#include <fmt/format.h>

#include <boost/asio.hpp>

#include "milter/door/delegation_protocol.h"
#include "milter/guarded.h"
#include "milter/log/throttle.h"

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

// What the conversations have in common.
struct SecondDoor {
  explicit SecondDoor(DoorServices s) : services(std::move(s)) {}

  const DoorServices services;
  Throttle crowded;
};

// One connection of the MTA: request, answer, request … A request that comes slower than it may, and a connection that
// is idle for longer than Postfix lets one be, end.
class Conversation final : public StreamClient {
 public:
  Conversation(StreamSocket socket, StreamServer& server, const SecondDoor& door)
      : StreamClient(std::move(socket), server), door_(door) {}

  void start() override {
    error_code ignored;
    socket().set_option(asio::socket_base::keep_alive(true), ignored);
    read();
  }

 private:
  void read() {
    served();
    give(kMostIdle);
    net::read_until(socket(), in_, kMostRequest, "\n\n",
                    [self = self<Conversation>()](error_code error, std::size_t length) {
                      error || !self->is_open() ? self->close() : self->answer(length);
                    });
  }

  void answer(std::size_t length) {
    const auto request = parse_delegation_request(std::string_view(in_).substr(0, length - 1));
    const bool judged =
        request && guarded("policy service", [&] { out_ = delegation_reply(judge(*request, door_.services)); });
    if (!judged) return close();  // Postfix takes that as "cannot tell" and goes by its own settings
    in_.erase(0, length);
    net::write(socket(), out_, [self = self<Conversation>()](error_code error, std::size_t) {
      error || !self->is_open() ? self->close() : self->read();
    });
  }

  const SecondDoor& door_;
  std::string in_;
  std::string out_;
};

void say_crowded(SecondDoor& door) {
  door.services.traffic.turn_away();
  door.crowded.say(
      fmt::format("policy service: {} connections are open; the one idle for longest is closed", kMostConversations));
}

}  // namespace

tl::expected<std::unique_ptr<StreamServer>, std::string> open_delegation_door(const SocketAddress& address,
                                                                              const DoorServices& services) {
  const auto door = std::make_shared<SecondDoor>(services);
  return StreamServer::open({.address = address,
                             .most = kMostConversations,
                             .oldest_makes_room = true,
                             .welcome =
                                 [door](StreamSocket socket, StreamServer& server) {
                                   return std::make_shared<Conversation>(std::move(socket), server, *door);
                                 },
                             .crowded = [door] { say_crowded(*door); },
                             .troubles = services.troubles});
}

}  // namespace replygate

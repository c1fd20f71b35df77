#include "milter/door/delegation.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio.hpp>
#include <memory>

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
  void write(Record record) override {
    if (record.ending == Ending::refused) next_.write(std::move(record));
  }

 private:
  RecordSink& next_;
};

// What the conversations have in common.
struct SecondDoor {
  explicit SecondDoor(DoorServices s) : services(std::move(s)) {}

  const DoorServices services;
  Throttle crowded;
};

// One request on its way through a session. Without counters a decision comes at once, unless a live source has
// something to say first; it then comes on the source's thread.
class DelegatedCase : public std::enable_shared_from_this<DelegatedCase> {
 public:
  // `later` is called on whatever thread where judge() could not tell.
  using Later = std::function<void(std::shared_ptr<DelegatedCase>)>;

  DelegatedCase(DelegationRequest request, std::shared_ptr<const SecondDoor> door, Later later)
      : request_(std::move(request)),
        door_(std::move(door)),
        later_(std::move(later)),
        sink_(services().sink),
        session_(services().policy_now(), {services().gate, sink_, services().references, nullptr, services().own},
                 {.name = "policy_service", .counters = false, .early = false, .beyond = kBeyondDelegation}),
        now_(services().clock.now()) {}

  // True where answer() is there.
  bool judge() {
    session_.connect(request_.connect, now_, then([this] { helo(); }));
    return told_.exchange(true);
  }
  const Answer& answer() const { return answer_; }

 private:
  const DoorServices& services() const { return door_->services; }

  template <typename Step>
  Session::Done then(Step step) {
    return [self = shared_from_this(), step](Answer answer) {
      self->answer_ = std::move(answer);
      step();
    };
  }

  void helo() {
    session_.helo(request_.helo, now_, then([this] { mail(); }));
  }
  void mail() {
    session_.mail(request_.mail, now_, then([this] { rcpt(); }));
  }
  void rcpt() {
    if (answer_.refusal || request_.rcpt.recipient.empty()) return end();
    session_.rcpt(request_.rcpt, now_, then([this] { end(); }));
  }

  // Whoever is second, of judge() and the end, hands the answer on.
  void end() {
    session_.abort(now_);
    if (told_.exchange(true)) later_(shared_from_this());
  }

  const DelegationRequest request_;
  const std::shared_ptr<const SecondDoor> door_;
  const Later later_;
  RefusalsOnly sink_;
  Session session_;
  const Instant now_;
  Answer answer_;
  std::atomic<bool> told_ = false;  // by one of the two
};

// One connection of the MTA: request, answer, request … A request that comes slower than it may, and a connection that
// is idle for longer than Postfix lets one be, end.
class Conversation final : public StreamClient {
 public:
  Conversation(StreamSocket socket, StreamServer& server, std::shared_ptr<const SecondDoor> door)
      : StreamClient(std::move(socket), server), door_(std::move(door)) {}

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
    auto request = parse_delegation_request(std::string_view(in_).substr(0, length - 1));
    in_.erase(0, length);
    if (!request || !guarded("policy service", [&] { judge(*std::move(request)); })) close();
  }

  // Postfix takes a connection that ends as "cannot tell", and goes by its own settings.
  void judge(DelegationRequest request) {
    const auto on_loop = [self = self<Conversation>()](const std::shared_ptr<DelegatedCase>& judged) {
      asio::post(self->socket().get_executor(), [self, judged] {
        if (self->is_open()) self->reply(judged->answer());
      });
    };
    const auto judged = std::make_shared<DelegatedCase>(std::move(request), door_, on_loop);
    if (judged->judge()) reply(judged->answer());
  }

  void reply(const Answer& answer) {
    out_ = delegation_reply(answer);
    net::write(socket(), out_, [self = self<Conversation>()](error_code error, std::size_t) {
      error || !self->is_open() ? self->close() : self->read();
    });
  }

  const std::shared_ptr<const SecondDoor> door_;
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
                                   return std::make_shared<Conversation>(std::move(socket), server, door);
                                 },
                             .crowded = [door] { say_crowded(*door); },
                             .troubles = services.troubles});
}

}  // namespace replygate

#include "milter/door/asio/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "milter/guarded.h"

namespace replygate {
namespace {

constexpr std::chrono::milliseconds kListenerPause{50};
constexpr std::chrono::milliseconds kNameLook{500};
constexpr std::size_t kMostBefore = 16;  // sockets without a name, so that descriptors are left for others

// Without TCP_NODELAY a second packet waits for the MTA's delayed acknowledgement.
void set_options_of_tcp(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

// As a descriptor of our own, which the loop does not watch; it does not block.
int taken(StreamAcceptor acceptor) {
  acceptor.non_blocking(true);
  return acceptor.release();
}

bool somebody_waits_at(const Descriptor& socket) {
  pollfd wanted{.fd = socket.get(), .events = POLLIN, .revents = 0};
  return ::poll(&wanted, 1, 0) > 0;
}

}  // namespace

bool ReserveDescriptor::take() {
  if (!descriptor_.exists()) descriptor_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return descriptor_.exists();
}

Listener::Listener(StreamAcceptor acceptor, SocketAddress address, const std::vector<std::unique_ptr<Worker>>& workers,
                   EngineShared& shared)
    : address_(std::move(address)),
      workers_(workers),
      shared_(shared),
      tcp_(acceptor.local_endpoint().protocol().family() != AF_UNIX),
      timer_(workers.front()->context()),
      look_(workers.front()->context()),
      name_(address_) {
  socket_.reset(taken(std::move(acceptor)));
}

Listener::~Listener() { close(); }

void Listener::watch_for(SocketWatch::For what) { workers_.front()->watch().watch(*this, socket_.get(), what); }

void Listener::close() {
  watch_for(SocketWatch::For::nothing);
  socket_.reset();
  before_.clear();
}

void Listener::start() {
  watch_for(SocketWatch::For::reading);
  look_later();
}

void Listener::look_later() {
  if (!name_.exists()) return;
  look_.expires_after(kNameLook);
  look_.async_wait([this](boost::system::error_code cancelled) {
    if (cancelled || !is_open()) return;
    guarded(address_.text(), [this] { look_at_name(); });
    look_later();
  });
}

// Who has come to the socket whose name is gone is still served.
void Listener::look_at_name() {
  before_.reserve(before_.size() + 1);  // before a name is bound that a failure would leave to nobody
  auto again = name_.restore(workers_.front()->context());
  if (shared_.services.troubles != nullptr) {
    shared_.services.troubles->tell(fmt::format("{}{}", kOfMilter, address_.text()), {again ? "" : again.error()});
  }
  auto acceptor = again ? *std::move(again) : std::nullopt;
  if (!acceptor) return;
  Descriptor fresh(taken(*std::move(acceptor)));
  watch_for(SocketWatch::For::nothing);
  const Descriptor& old = before_.emplace_back(std::exchange(socket_, std::move(fresh)));
  if (!somebody_waits_at(old)) before_.pop_back();
  if (before_.size() > kMostBefore) before_.erase(before_.begin());
  go_on();
}

void Listener::on_ready() noexcept {
  guarded("milter", [this] { accept(); });
}

// One at a time: where more wait, they are told of again.
void Listener::accept() {
  // Mostly for want of descriptors; whatever it is, trying again at once would fail again.
  if (!take_one() && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
    return pause(std::generic_category().message(errno));
  if (full()) pause(fmt::format("max_connections, {}, reached", shared_.bounds().connections));
}

// False where there is none, or none can be taken: errno.
bool Listener::take_one_of(const Descriptor& from) {
  Descriptor socket(::accept4(from.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.exists()) return false;
  serve(std::move(socket));
  return true;
}

// Who waited before the name was gone goes first.
void Listener::take_all() {
  while (!before_.empty() && !full()) {
    if (take_one_of(before_.front()) || errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN) return;
    before_.erase(before_.begin());
  }
  while (!full() && take_one()) continue;
}

void Listener::serve(Descriptor socket) {
  if (tcp_) set_options_of_tcp(socket.get());
  next_ = (next_ + 1) % workers_.size();
  workers_[next_]->serve(std::move(socket), tcp_);
}

bool Listener::full() { return shared_.traffic.sessions() >= shared_.bounds().connections; }

void Listener::pause(std::string_view why) {
  wake_later();
  watch_for(SocketWatch::For::nothing);
  if (!std::exchange(paused_, true)) shared_.traffic.starve(true);
  reserve_.release();
  starving_.say(fmt::format("{}: accepting pauses with {} connections open: {}", address_.text(),
                            shared_.traffic.sessions(), why));
}

void Listener::wake_later() {
  timer_.expires_after(kListenerPause);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) go_on();
  });
}

// What fails is tried again: whoever connects must not wait for ever.
void Listener::go_on() noexcept {
  if (guarded("milter", [this] { listen(); })) return;
  while (!guarded("milter", [this] { wake_later(); })) continue;
}

void Listener::listen() {
  if (!is_open()) return;
  if (full()) return pause("still at max_connections");
  if (!reserve_.take()) return pause("still no descriptor");
  take_all();
  if (full() || !before_.empty()) return pause(full() ? "still at max_connections" : "still no descriptor");
  if (std::exchange(paused_, false)) {
    shared_.traffic.starve(false);
    again_.say(fmt::format("{}: accepting connections again", address_.text()));
  }
  watch_for(SocketWatch::For::reading);
}

void Listener::stop() {
  timer_.cancel();
  look_.cancel();
  if (!is_open()) return;
  if (!passed()) {
    name_.remove();
    take_all();
  }
  close();
}

}  // namespace replygate

#include "milter/door/asio/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio.hpp>

#include "milter/guarded.h"
#include "milter/log/say.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kListenerPause{50};
constexpr std::chrono::milliseconds kNameLook{500};

void set_options(StreamSocket& socket, bool tcp) {
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  if (!tcp) return;
  // Without it a second packet waits for the MTA's delayed acknowledgement.
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
}

}  // namespace

bool ReserveDescriptor::take() {
  if (descriptor_ < 0) descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  return descriptor_ >= 0;
}

void ReserveDescriptor::release() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

Listener::Listener(StreamAcceptor acceptor, SocketAddress address, const std::vector<std::unique_ptr<Worker>>& workers,
                   EngineShared& shared)
    : acceptor_(std::move(acceptor)),
      address_(std::move(address)),
      workers_(workers),
      shared_(shared),
      tcp_(acceptor_.local_endpoint().protocol().family() != AF_UNIX),
      timer_(workers.front()->context()),
      look_(workers.front()->context()),
      name_(address_) {
  acceptor_.non_blocking(true);
}

Worker& Listener::next_worker() {
  next_ = (next_ + 1) % workers_.size();
  return *workers_[next_];
}

void Listener::start() {
  accept();
  look_later();
}

void Listener::look_later() {
  if (!name_.exists()) return;
  look_.expires_after(kNameLook);
  look_.async_wait([this](Error cancelled) {
    if (cancelled || !acceptor_.is_open()) return;
    guarded(address_.text(), [this] { look_at_name(); });
    look_later();
  });
}

// The accept under way is ended, so that the next one is at the new socket.
void Listener::look_at_name() {
  auto again = name_.restore(workers_.front()->context());
  if (shared_.services.troubles != nullptr) {
    shared_.services.troubles->tell(fmt::format("{}{}", kOfMilter, address_.text()), {again ? "" : again.error()});
  }
  if (!again || !*again) return;
  fresh_ = *std::move(again);
  fresh_->non_blocking(true);
  acceptor_.cancel();
}

void Listener::accept() {
  if (fresh_) acceptor_ = *std::exchange(fresh_, std::nullopt);
  acceptor_.async_accept(next_worker().context(),
                         [this](Error error, StreamSocket socket) { on_accept(error, std::move(socket)); });
}

void Listener::on_accept(Error error, StreamSocket socket) {
  if (!error) serve(std::move(socket));  // also one that came just before the stop
  if (!acceptor_.is_open()) return;
  if (error == asio::error::operation_aborted) return fresh_ ? accept() : void();
  // Mostly for want of descriptors; whatever it is, trying again at once would fail again.
  if (error && error != asio::error::connection_aborted) return pause(error.message());
  if (full()) return pause(fmt::format("max_connections, {}, reached", shared_.bounds().connections));
  accept();
}

void Listener::serve(StreamSocket socket) {
  if (paused_) {
    paused_ = false;
    shared_.traffic.starve(false);
    say(fmt::format("{}: accepting connections again", address_.text()));
  }
  set_options(socket, tcp_);
  shared_.traffic.begin_session();
  workers_[next_]->serve(std::move(socket), tcp_);
}

bool Listener::full() { return shared_.traffic.sessions() >= shared_.bounds().connections; }

void Listener::pause(std::string_view why) {
  if (!std::exchange(paused_, true)) shared_.traffic.starve(true);
  reserve_.release();
  starving_.say(fmt::format("{}: accepting pauses with {} connections open: {}", address_.text(),
                            shared_.traffic.sessions(), why));
  timer_.expires_after(kListenerPause);
  timer_.async_wait([this](Error error) {
    if (!error) on_pause_end();
  });
}

void Listener::on_pause_end() {
  if (full()) return pause("still at max_connections");
  if (!reserve_.take()) return pause("still no descriptor");
  accept();
}

void Listener::stop() {
  timer_.cancel();
  look_.cancel();
  fresh_.reset();
  if (!acceptor_.is_open()) return;
  if (!passed()) {
    name_.remove();
    Error error;
    while (!full()) {
      StreamSocket socket(next_worker().context());
      acceptor_.accept(socket, error);
      if (error) break;
      serve(std::move(socket));
    }
  }
  Error ignored;
  acceptor_.close(ignored);
}

}  // namespace replygate

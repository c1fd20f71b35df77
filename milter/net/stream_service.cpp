#include "milter/net/stream_service.h"

#include <unistd.h>

#include "milter/guarded.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{200};  // behind an error: mostly it is for want of descriptors
constexpr std::chrono::milliseconds kTurnedAway{2};     // behind a client without room: a flood of them costs little

}  // namespace

tl::expected<void, std::string> StreamService::listen() {
  auto acceptor = listen_on(io_, address_);
  if (!acceptor) return tl::unexpected(acceptor.error());
  acceptor_.emplace(*std::move(acceptor));
  return {};
}

void StreamService::start() {
  accept();
  thread_ = std::thread([this] { run_guarded(io_, address_.text()); });
}

void StreamService::accept() {
  acceptor_->async_accept([this](Error error, StreamSocket socket) {
    if (error == asio::error::operation_aborted || !acceptor_->is_open()) return;
    if (error) return accept_after(kAcceptPause);
    bool served = false;
    guarded(address_.text(), [&] { served = serve_(std::move(socket)); });
    served ? accept() : accept_after(kTurnedAway);
  });
}

void StreamService::accept_after(std::chrono::milliseconds pause) {
  pause_.expires_after(pause);
  pause_.async_wait([this](Error cancelled) {
    if (!cancelled && acceptor_->is_open()) accept();
  });
}

void StreamService::stop(const std::function<void()>& close_all) {
  if (!thread_.joinable()) return;
  asio::post(io_, [this, &close_all] {
    Error ignored;
    // First the name: once nobody listens any more a successor may have taken it.
    if (address_.family == SocketAddress::Family::unix_path) ::unlink(address_.path.c_str());
    acceptor_->close(ignored);
    pause_.cancel();
    close_all();
    guard_.reset();
  });
  thread_.join();
}

}  // namespace replygate

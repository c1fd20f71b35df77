#include "milter/serve/stream_service.h"

#include <unistd.h>

namespace replygate {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr std::chrono::milliseconds kPause{200};     // behind an error: mostly it is for want of descriptors
constexpr std::chrono::milliseconds kTurnedAway{2};  // behind a client without room: a flood of them costs little

}  // namespace

tl::expected<void, std::string> StreamService::listen() {
  auto acceptor = listen_on(io_, address_);
  if (!acceptor) return tl::unexpected(acceptor.error());
  acceptor_.emplace(*std::move(acceptor));
  return {};
}

void StreamService::start() {
  accept();
  thread_ = std::thread([this] { io_.run(); });
}

void StreamService::accept() {
  acceptor_->async_accept([this](Error error, StreamSocket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) return accept_after(kPause);
    serve_(std::move(socket)) ? accept() : accept_after(kTurnedAway);
  });
}

void StreamService::accept_after(std::chrono::milliseconds pause) {
  pause_.expires_after(pause);
  pause_.async_wait([this](Error cancelled) {
    if (!cancelled) accept();
  });
}

void StreamService::stop(const std::function<void()>& close_all) {
  if (!thread_.joinable()) return;
  asio::post(io_, [this, &close_all] {
    Error ignored;
    acceptor_->close(ignored);
    pause_.cancel();
    close_all();
    guard_.reset();
  });
  thread_.join();
  if (address_.family == SocketAddress::Family::unix_path) ::unlink(address_.path.c_str());
}

}  // namespace replygate

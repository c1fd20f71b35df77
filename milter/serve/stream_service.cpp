#include "milter/serve/stream_service.h"

#include <unistd.h>

namespace replygate {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr std::chrono::milliseconds kPause{200};

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

// Mostly for want of descriptors an attempt fails; the next one comes after a pause.
void StreamService::accept() {
  acceptor_->async_accept([this](Error error, StreamSocket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      serve_(std::move(socket));
      return accept();
    }
    pause_.expires_after(kPause);
    pause_.async_wait([this](Error cancelled) {
      if (!cancelled) accept();
    });
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

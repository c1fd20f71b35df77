#include "milter/net/local_peer.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include "milter/descriptor.h"
#include "milter/net/stream.h"

namespace replygate {
namespace {

constexpr int kPatienceMs = 1000;

int outcome_of(int descriptor) {
  pollfd watched{descriptor, POLLOUT, 0};
  if (::poll(&watched, 1, kPatienceMs) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// What connecting led to; 0: somebody took the connection. A Unix socket whose queue is full says EAGAIN.
int try_to_connect(const SocketAddress& address) {
  const StreamEndpoint endpoint = endpoint_of(address);
  const Descriptor socket(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return errno;
  if (::connect(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) return 0;
  return errno == EINPROGRESS ? outcome_of(socket.get()) : errno;
}

std::string reason_of(int error) { return std::generic_category().message(error); }

}  // namespace

tl::expected<void, std::string> may_listen_on(const SocketAddress& address) {
  if (address.family == SocketAddress::Family::descriptor) return {};
  const int error = try_to_connect(address);
  if (error == 0 || error == EAGAIN) {
    return tl::unexpected(fmt::format("{} is in use by another process", address.text()));
  }
  // Of an address of IP binding itself says more. A path whose owner cannot be asked may be his who still serves.
  const bool path = address.family == SocketAddress::Family::unix_path;
  if (!path || error == ECONNREFUSED || error == ENOENT) return {};
  return tl::unexpected(fmt::format("{}: whether somebody listens there cannot be told: {}; remove it if nobody does",
                                    address.text(), reason_of(error)));
}

void wake_listener(const SocketAddress& address) {
  if (address.family != SocketAddress::Family::descriptor) try_to_connect(address);
}

}  // namespace replygate

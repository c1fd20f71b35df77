#include "milter/net/listening.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <cerrno>
#include <cstring>

#include "milter/descriptor.h"
#include "milter/net/local_peer.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;

constexpr mode_t kSocketMode = 0660;

int option(int descriptor, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : 0;
}

tl::expected<StreamAcceptor, std::string> adopt(asio::io_context& context, const SocketAddress& address) {
  const int domain = option(address.descriptor, SO_DOMAIN);
  if (option(address.descriptor, SO_ACCEPTCONN) == 0 || option(address.descriptor, SO_TYPE) != SOCK_STREAM) {
    return tl::unexpected(
        fmt::format("{} is not a listening socket; it must be handed over by who starts replygate", address.text()));
  }
  return StreamAcceptor(context, Protocol(domain, 0), address.descriptor);
}

void remove_stale(const std::string& path) {
  struct stat file{};
  if (::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode)) ::unlink(path.c_str());
}

// Of the socket itself, not of what a link in its place points to.
void set_mode(const std::string& path) {
  const Descriptor place(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  ::chmod(fmt::format("/proc/self/fd/{}", place.get()).c_str(), kSocketMode);
}

void bind(StreamAcceptor& acceptor, const SocketAddress& address) {
  const Protocol::endpoint endpoint = endpoint_of(address);
  acceptor.open(endpoint.protocol());
  if (address.family != SocketAddress::Family::unix_path) {
    acceptor.set_option(asio::socket_base::reuse_address(true));
    if (address.family == SocketAddress::Family::inet6) acceptor.set_option(asio::ip::v6_only(true));
    acceptor.bind(endpoint);
    return;
  }
  remove_stale(address.path);
  ::fchmod(acceptor.native_handle(), kSocketMode);  // so that it never has more, whatever the umask
  acceptor.bind(endpoint);
  set_mode(address.path);
}

}  // namespace

SocketAddress handed_over(const SocketAddress& address) {
  if (address.family == SocketAddress::Family::descriptor) return address;
  const StreamEndpoint wanted = endpoint_of(address);
  const int passed = sd_listen_fds(0);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + passed; ++fd) {
    StreamEndpoint bound;
    auto size = static_cast<socklen_t>(bound.capacity());
    if (::getsockname(fd, bound.data(), &size) != 0) continue;
    bound.resize(size);
    if (bound == wanted) return {.family = SocketAddress::Family::descriptor, .descriptor = fd};
  }
  return address;
}

tl::expected<StreamAcceptor, std::string> listen_on(asio::io_context& context, const SocketAddress& address) try {
  if (address.family == SocketAddress::Family::descriptor) return adopt(context, address);
  if (auto may = may_listen_on(address); !may) return tl::unexpected(may.error());
  StreamAcceptor acceptor(context);
  bind(acceptor, address);
  acceptor.listen();
  return acceptor;
} catch (const boost::system::system_error& error) {
  return tl::unexpected(fmt::format("cannot listen on {}: {}", address.text(), error.code().message()));
}

}  // namespace replygate

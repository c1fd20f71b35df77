#include "milter/net/socket_name.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "milter/log/say.h"

namespace replygate {
namespace {

// "" where it has none, as an abstract one.
std::string path_of_socket(int descriptor) {
  sockaddr_un bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return "";
  if (bound.sun_family != AF_UNIX || size <= sizeof bound.sun_family) return "";
  const std::size_t most = std::min<std::size_t>(size, sizeof bound) - offsetof(sockaddr_un, sun_path);
  return {bound.sun_path, ::strnlen(bound.sun_path, most)};
}

}  // namespace

SocketName::SocketName(SocketAddress address) : address_(std::move(address)) {
  if (address_.family == SocketAddress::Family::unix_path) path_ = address_.path;
  if (address_.family == SocketAddress::Family::descriptor) path_ = path_of_socket(address_.descriptor);
  look();
  // Handed over from where this process cannot look it cannot be looked after.
  if (inode_ == 0 && address_.family == SocketAddress::Family::descriptor) path_.clear();
}

void SocketName::look() {
  struct stat s{};
  if (path_.empty() || ::stat(path_.c_str(), &s) != 0) return;
  device_ = s.st_dev;
  inode_ = s.st_ino;
}

// One that cannot be looked at may be there.
bool SocketName::lost() const {
  struct stat s{};
  if (path_.empty()) return false;
  if (::stat(path_.c_str(), &s) != 0) return errno == ENOENT || errno == ENOTDIR;
  return s.st_dev != device_ || s.st_ino != inode_;
}

tl::expected<std::optional<StreamAcceptor>, std::string> SocketName::restore(boost::asio::io_context& io) {
  if (!lost()) return std::nullopt;
  if (address_.family == SocketAddress::Family::descriptor) {
    return tl::unexpected(fmt::format(
        "{} was removed, so that nobody gets to it; who handed it over must create it again: systemctl restart "
        "replygate.socket",
        path_));
  }
  auto acceptor = listen_on(io, address_);
  if (!acceptor) {
    return tl::unexpected(fmt::format("{} was removed, and nobody gets to it: {}", path_, acceptor.error()));
  }
  say(fmt::format("{} was removed by somebody; it is bound again", path_));
  look();
  return *std::move(acceptor);
}

void SocketName::remove() {
  if (address_.family == SocketAddress::Family::unix_path && !lost()) ::unlink(path_.c_str());
}

}  // namespace replygate

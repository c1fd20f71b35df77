#include "milter/host/milter_greeting.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "milter/descriptor.h"

namespace replygate {
namespace {

constexpr timeval kGreetingPatience{3, 0};
// Length, 'O', version 6, all actions, all steps of the protocol.
constexpr std::array<unsigned char, 17> kNegotiation = {0, 0, 0, 13,   'O', 0,    0,    0,   6,
                                                        0, 0, 1, 0xff, 0,   0x1f, 0xff, 0xff};
constexpr std::array<unsigned char, 5> kQuit = {0, 0, 0, 1, 'Q'};

MilterGreeting failed(int error) {
  const bool slow = error == EAGAIN || error == EINPROGRESS;
  return {false, error == EACCES, slow ? "it does not answer" : std::generic_category().message(error)};
}

bool read_exactly(int fd, unsigned char* into, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::recv(fd, into, size, 0);
    if (count == 0) errno = EPROTO;
    if (count <= 0) return false;
    into += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

MilterGreeting negotiate(int fd) {
  std::array<unsigned char, 5> answer{};
  if (::send(fd, kNegotiation.data(), kNegotiation.size(), MSG_NOSIGNAL) < 0) return failed(errno);
  if (!read_exactly(fd, answer.data(), answer.size())) {
    return errno == EPROTO ? MilterGreeting{false, false, "it hangs up"} : failed(errno);
  }
  const std::size_t rest = std::size_t{answer[2]} << 8U | answer[3];
  if (answer[4] != 'O' || answer[0] != 0 || answer[1] != 0 || rest == 0) {
    return {false, false, "it does not speak the milter protocol"};
  }
  std::vector<unsigned char> wishes(rest - 1);  // whoever closes before he has read all seems to have died
  if (!read_exactly(fd, wishes.data(), wishes.size())) return failed(errno);
  ::send(fd, kQuit.data(), kQuit.size(), MSG_NOSIGNAL);
  return {true, false, ""};
}

MilterGreeting greet(const sockaddr* address, socklen_t size) {
  const Descriptor socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(socket.get(), SOL_SOCKET, option, &kGreetingPatience, sizeof kGreetingPatience);
  }
  if (socket.get() < 0 || ::connect(socket.get(), address, size) != 0) return failed(errno);
  return negotiate(socket.get());
}

MilterGreeting greet_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failed(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return greet(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

MilterGreeting greet_host(std::string host, const std::string& port) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0) {
    return {false, false, ::gai_strerror(error)};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  MilterGreeting greeting;
  for (const addrinfo* one = list; one != nullptr && !greeting.answered; one = one->ai_next) {
    greeting = greet(one->ai_addr, one->ai_addrlen);
  }
  return greeting;
}

}  // namespace

MilterGreeting greet_milter(const std::string& address) {
  if (address.starts_with("unix:")) return greet_path(address.substr(5));
  const std::size_t colon = address.rfind(':');
  if (!address.starts_with("inet:") || colon < 5) return {false, false, "it has no port"};
  return greet_host(address.substr(5, colon - 5), address.substr(colon + 1));
}

}  // namespace replygate

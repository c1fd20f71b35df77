#include "tests/support/wire.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "milter/door/wire/packet.h"
#include "policy/load/socket.h"

namespace replygate::test {
namespace {

std::string u16(std::uint16_t value) { return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)}; }

sockaddr_un unix_name(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(name.sun_path), sizeof name.sun_path - 1);
  return name;
}

void connect_to(int descriptor, const SocketAddress& address) {
  int failed = 0;
  if (address.family == SocketAddress::Family::unix_path) {
    const sockaddr_un name = unix_name(address.path);
    failed = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  } else if (address.family == SocketAddress::Family::inet6) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &name.sin6_addr);
    failed = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &name.sin_addr);
    failed = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  if (failed != 0) throw std::system_error(errno, std::generic_category(), address.text());
}

int family(const SocketAddress& address) {
  if (address.family == SocketAddress::Family::unix_path) return AF_UNIX;
  return address.family == SocketAddress::Family::inet6 ? AF_INET6 : AF_INET;
}

}  // namespace

std::string packet(char command, std::string_view data) {
  std::string out;
  wire::append_packet(out, command, data);
  return out;
}

std::string strings(std::initializer_list<std::string_view> texts) {
  std::string out;
  for (const std::string_view text : texts) out.append(text).push_back('\0');
  return out;
}

std::string negotiation(std::uint32_t version, std::uint32_t actions, std::uint32_t steps) {
  std::string data;
  for (const std::uint32_t number : {version, actions, steps}) wire::append_u32(data, number);
  return packet('O', data);
}

std::string connect_packet(std::string_view ip, std::string_view host, std::uint16_t port) {
  if (ip.empty()) return packet('C', strings({host}) + "U");
  const char kind = ip.find(':') == std::string_view::npos ? '4' : '6';
  return packet('C', strings({host}) + kind + u16(port) + strings({ip}));
}

std::string helo_packet(std::string_view name) { return packet('H', strings({name})); }

std::string mail_packet(std::string_view sender, std::initializer_list<std::string_view> parameters) {
  return packet('M', strings({sender}) + strings(parameters));
}

std::string rcpt_packet(std::string_view recipient) { return packet('R', strings({recipient})); }

std::string macros_packet(char command, std::initializer_list<std::string_view> names_and_values) {
  return packet('D', command + strings(names_and_values));
}

std::string header_packet(std::string_view name, std::string_view value) { return packet('L', strings({name, value})); }

std::string Heard::text() const {
  if (command == 0) return "closed";
  if (command != 'y') return {command};
  return data.substr(0, data.size() - 1);
}

std::vector<Heard> packets_in(std::string_view octets) {
  std::vector<Heard> list;
  for (;;) {
    const wire::Framed framed = wire::next_packet(octets, std::size_t{1} << 24U);
    if (framed.kind != wire::Framed::Kind::packet) return list;
    list.push_back({framed.packet.command, std::string(framed.packet.data)});
    octets.remove_prefix(framed.size);
  }
}

int listen_unix(const std::string& path) {
  const sockaddr_un name = unix_name(path);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(descriptor, 4096) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return descriptor;
}

WireClient::WireClient(std::string_view address, std::chrono::milliseconds patience) {
  const auto parsed = SocketAddress::parse(address).value();
  descriptor_ = ::socket(family(parsed), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "socket");
  const timeval time{patience.count() / 1000, patience.count() % 1000 * 1000};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  try {
    connect_to(descriptor_, parsed);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

WireClient::~WireClient() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

WireClient::WireClient(WireClient&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), in_(std::move(other.in_)) {}

bool WireClient::send(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t sent = ::send(descriptor_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

Heard WireClient::read() {
  for (;;) {
    const wire::Framed framed = wire::next_packet(in_, std::size_t{1} << 24U);
    if (framed.kind == wire::Framed::Kind::packet) {
      Heard heard{framed.packet.command, std::string(framed.packet.data)};
      in_.erase(0, framed.size);
      return heard;
    }
    std::array<char, 4096> buffer;
    const ssize_t got = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) throw std::system_error(errno, std::generic_category());
    if (got <= 0) return {};
    in_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

bool WireClient::silent() {
  char octet = 0;
  return in_.empty() && ::recv(descriptor_, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void WireClient::hang_up() {
  ::shutdown(descriptor_, SHUT_WR);
  while (read().command != 0) continue;
}

}  // namespace replygate::test

#include "policy/load/socket.h"

#include <fmt/format.h>

#include <charconv>

#include "policy/mail/domain.h"
#include "policy/mail/ip.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestPath = 107;  // sun_path with its NUL is 108

template <typename T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<SocketAddress> parse_inet(std::string_view rest, SocketAddress::Family family, bool names = false) {
  const std::size_t at = rest.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const auto port = whole_number<std::uint16_t>(rest.substr(0, at));
  std::string_view host = rest.substr(at + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = family == SocketAddress::Family::inet ? "127.0.0.1" : "::1";
  if (!port || *port == 0) return std::nullopt;
  const bool name = names && !IpAddress::parse(host) && canonical_domain(host);
  const bool v4 = host.find(':') == std::string_view::npos;
  if (!name && (!IpAddress::parse(host) || v4 != (family == SocketAddress::Family::inet))) return std::nullopt;
  return SocketAddress{.family = family, .path = {}, .host = std::string(host), .port = *port};
}

}  // namespace

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 1);
  if (kind == "inet") return parse_inet(rest, Family::inet);
  if (kind == "inet6") return parse_inet(rest, Family::inet6);
  if (kind == "unix" || kind == "local") {
    if (!rest.starts_with('/') || rest.size() < 2 || rest.size() > kLongestPath) return std::nullopt;
    return SocketAddress{.family = Family::unix_path, .path = std::string(rest), .host = {}};
  }
  if (kind == "fd") {
    const auto number = whole_number<int>(rest);
    if (!number || *number < 0 || *number > 1023) return std::nullopt;
    return SocketAddress{.family = Family::descriptor, .path = {}, .host = {}, .descriptor = *number};
  }
  return std::nullopt;
}

std::optional<SocketAddress> SocketAddress::parse_server(std::string_view text) {
  if (text.starts_with("inet:")) return parse_inet(text.substr(5), Family::inet, true);
  if (text.starts_with("inet6:")) return parse_inet(text.substr(6), Family::inet6, true);
  auto address = parse(text);
  return address && address->family != Family::descriptor ? address : std::nullopt;
}

std::string SocketAddress::text() const {
  switch (family) {
    case Family::unix_path: return "unix:" + path;
    case Family::inet: return fmt::format("inet:{}@{}", port, host);
    case Family::inet6: return fmt::format("inet6:{}@[{}]", port, host);
    case Family::descriptor: return fmt::format("fd:{}", descriptor);
  }
  return "";
}

std::string meant_socket(std::string_view text) {
  for (const std::string_view scheme :
       {"tcp://", "redis://", "unix://", "inet:", "inet6:", "tcp:", "unix:", "local:"}) {
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  }
  if (text.starts_with('/')) return fmt::format("unix:{}", text);
  const std::size_t colon = text.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
  std::string_view host = colon == std::string_view::npos ? "127.0.0.1" : text.substr(0, colon);
  if (host == "*" || host.empty()) host = "0.0.0.0";
  const std::string_view family = host.find(':') == std::string_view::npos ? "inet" : "inet6";
  const std::string meant = fmt::format("{}:{}@{}", family, port, host);
  return SocketAddress::parse_server(meant) ? meant : "";
}

}  // namespace replygate

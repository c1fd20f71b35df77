#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace replygate {

// Where a door listens. Text and numbers; nothing is opened or resolved.
struct SocketAddress {
  enum class Family : std::uint8_t { unix_path, inet, inet6, descriptor };

  Family family = Family::inet;
  std::string path;        // of unix_path, absolute, at most 107 octets
  std::string host;        // of inet and inet6: an address of that family; of a server perhaps a name
  std::uint16_t port = 0;  // 1..65535
  int descriptor = -1;     // 0..1023, an open listening socket

  // "unix:/path", "inet:port@host", "inet6:port@[host]", "fd:3". A host is a must: none would mean all of them.
  static std::optional<SocketAddress> parse(std::string_view text);

  // The same of somebody else's server: no descriptor, and a host may be a name.
  static std::optional<SocketAddress> parse_server(std::string_view text);

  std::string text() const;  // as parse() reads it, and smfi_setconn() too

  bool operator==(const SocketAddress&) const = default;
};

// "inet:8891@127.0.0.1" for "127.0.0.1:8891", "8891", "inet:127.0.0.1:8891"; "unix:/path" for "/path". "" where nothing
// is plain.
std::string meant_socket(std::string_view text);

}  // namespace replygate

#include "policy/rules/live_source.h"

#include <fmt/format.h>

#include <array>

namespace replygate {
namespace {

// "inet:port@host" as Postfix has it: "inet:host:port".
std::string server_text(const std::string& server) {
  const std::size_t at = server.find('@');
  const std::size_t colon = server.find(':');
  if (at == std::string::npos) return server;
  return fmt::format("inet:{}:{}", server.substr(at + 1), server.substr(colon + 1, at - colon - 1));
}

}  // namespace

std::string_view to_string(LiveSource::Kind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"socketmap", "mysql", "pgsql", "ldap"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string LiveSource::text() const {
  if (kind != Kind::socketmap) return fmt::format("{}:{}", to_string(kind), table);
  return fmt::format("socketmap:{}:{}", server_text(server), table);
}

}  // namespace replygate

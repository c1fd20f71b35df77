#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policy/base/time.h"

namespace replygate {

// A source that is asked by key while mail comes, as Postfix asks its tables. A value.
struct LiveSource {
  enum class Kind : std::uint8_t { socketmap, mysql, pgsql, ldap };

  Kind kind = Kind::socketmap;
  std::string name;                          // the list or map that it is; for `override` its text()
  std::string server;                        // of socketmap: "inet:port@host", "inet6:port@[host]" or "unix:/path"
  std::string table;                         // of socketmap the name of the map, else the path of Postfix's description
  Duration cache = std::chrono::minutes(5);  // how long an answer holds
  Duration timeout = std::chrono::seconds(2);

  // Of all that makes a difference to whoever asks it; set once the rest is.
  std::string id;

  // As Postfix writes it: "socketmap:inet:host:port:name", "mysql:/path".
  std::string text() const;
  bool operator==(const LiveSource&) const = default;
};

std::string_view to_string(LiveSource::Kind kind);

using LiveSourcePtr = std::shared_ptr<const LiveSource>;

}  // namespace replygate

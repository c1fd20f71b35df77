#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "milter/lookup/table_plugin.h"

namespace replygate {

// A server of `hosts`, as mysql_table(5) and pgsql_table(5) write it: "host", "host:port", "inet:host:port",
// "unix:/path", or a URI.
struct TableHost {
  std::string host;    // "": by the socket
  std::string port;    // "": the usual one
  std::string socket;  // a path
  std::string uri;     // "postgresql://…"
};

inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view kBetween = " \t\r\n,";
  for (std::size_t at = 0; (at = text.find_first_not_of(kBetween, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

inline TableHost table_host(std::string text) {
  if (text.starts_with("unix:")) return {.host = "", .port = "", .socket = text.substr(5), .uri = ""};
  if (text.find("://") != std::string::npos) return {.host = "", .port = "", .socket = "", .uri = std::move(text)};
  if (text.starts_with("inet:")) text.erase(0, 5);
  if (text.starts_with('[') && text.ends_with(']')) {
    return {.host = text.substr(1, text.size() - 2), .port = "", .socket = "", .uri = ""};
  }
  const std::size_t colon = text.rfind(':');
  const bool port = colon != std::string::npos && text.find(':') == colon;
  const bool bracketed = text.starts_with('[') && colon != std::string::npos && text.rfind(']') < colon;
  if (!port && !bracketed) return {.host = std::move(text), .port = "", .socket = "", .uri = ""};
  std::string host = text.substr(0, colon);
  if (bracketed) host = host.substr(1, host.size() - 2);
  return {.host = std::move(host), .port = text.substr(colon + 1), .socket = "", .uri = ""};
}

inline std::vector<TableHost> table_hosts(const TableParameters& parameters) {
  std::vector<TableHost> hosts;
  const auto given = parameters.find("hosts");
  for (std::string& word : words_of(given == parameters.end() ? "localhost" : given->second)) {
    hosts.push_back(table_host(std::move(word)));
  }
  return hosts;
}

inline std::string parameter_value(const TableParameters& parameters, const std::string& name,
                                   const std::string& otherwise = "") {
  const auto it = parameters.find(name);
  return it == parameters.end() ? otherwise : it->second;
}

// The connection that `connect(host, why)` has made to the first host that serves, null where none does; `why` is the
// last failure's.
template <typename Connect>
auto first_connection(const TableParameters& parameters, std::string& why, Connect connect) {
  decltype(connect(TableHost(), why)) connection;
  for (const TableHost& host : table_hosts(parameters)) {
    connection = connect(host, why);
    if (!connection) continue;
    why.clear();
    break;
  }
  return connection;
}

}  // namespace replygate

#pragma once

#include <boost/asio.hpp>
#include <memory>
#include <string>

#include "milter/door/listening.h"
#include "policy/load/socket.h"

namespace replygate {

// Connects to somebody's server, whose name is looked up where it has one. `handler` takes the error; `socket` outlives
// the operation.
template <typename Handler>
void async_connect(StreamSocket& socket, const SocketAddress& server, Handler handler) {
  namespace asio = boost::asio;
  if (server.family == SocketAddress::Family::unix_path) return socket.async_connect(endpoint_of(server), handler);
  auto resolver = std::make_shared<asio::ip::tcp::resolver>(socket.get_executor());
  resolver->async_resolve(server.host, std::to_string(server.port),
                          [&socket, resolver, handler](boost::system::error_code error, const auto& found) mutable {
                            if (error) return handler(error);
                            const asio::ip::tcp::endpoint first = found.begin()->endpoint();
                            socket.async_connect(StreamEndpoint(first.data(), first.size()), handler);
                          });
}

}  // namespace replygate

#include "milter/net/stream.h"

#include <boost/asio.hpp>
#include <memory>
#include <utility>

namespace replygate {

namespace asio = boost::asio;

StreamEndpoint endpoint_of(const SocketAddress& address) {
  if (address.family == SocketAddress::Family::unix_path) {
    return asio::local::stream_protocol::endpoint(address.path);
  }
  return asio::ip::tcp::endpoint(asio::ip::make_address(address.host), address.port);
}

namespace net {

void resolve(Resolver& resolver, const SocketAddress& server, Found found) {
  if (server.family == SocketAddress::Family::unix_path) return found({}, {endpoint_of(server)});
  const int family = server.family == SocketAddress::Family::inet6 ? AF_INET6 : AF_INET;
  resolver.look_up(family, server.host, std::to_string(server.port), std::move(found));
}

void resolve(Resolver& resolver, const std::string& host, const std::string& port, Found found) {
  resolver.look_up(AF_UNSPEC, host, port, std::move(found));
}

void connect(StreamSocket& socket, std::vector<StreamEndpoint> addresses, Reached reached) {
  auto kept = std::make_shared<std::vector<StreamEndpoint>>(std::move(addresses));
  asio::async_connect(socket, *kept,
                      [kept, reached = std::move(reached)](Error error, const StreamEndpoint&) { reached(error); });
}

void connect(StreamSocket& socket, Resolver& resolver, const SocketAddress& server, Reached reached) {
  resolve(resolver, server, [&socket, reached = std::move(reached)](Error error, auto addresses) {
    error ? reached(error) : connect(socket, std::move(addresses), reached);
  });
}

void write(StreamSocket& socket, std::string_view octets, Moved written) {
  asio::async_write(socket, asio::buffer(octets), std::move(written));
}

void read_some(StreamSocket& socket, std::span<char> into, Moved read) {
  socket.async_read_some(asio::buffer(into.data(), into.size()), std::move(read));
}

void read_until(StreamSocket& socket, std::string& in, std::size_t most, std::string_view delimiter, Moved read) {
  asio::async_read_until(socket, asio::dynamic_buffer(in, most), delimiter, std::move(read));
}

}  // namespace net
}  // namespace replygate

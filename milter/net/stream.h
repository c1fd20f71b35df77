#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "milter/net/resolver.h"
#include "policy/load/socket.h"

namespace replygate {

using StreamSocket = boost::asio::generic::stream_protocol::socket;
using StreamEndpoint = boost::asio::generic::stream_protocol::endpoint;

// Of a path or an address; a descriptor has none.
StreamEndpoint endpoint_of(const SocketAddress& address);

}  // namespace replygate

// Asio's operations on sockets with handlers of one type, so that they are compiled once. The rules are Asio's:
// sockets, and what is read into or written from, outlive the operation; a handler runs once, on the loop of its
// socket. Where every microsecond counts (door/asio) Asio is used as it is.
namespace replygate::net {

using Error = boost::system::error_code;
using Reached = std::function<void(Error)>;
using Moved = std::function<void(Error, std::size_t octets)>;
using Found = std::function<void(Error, std::vector<StreamEndpoint>)>;

// The addresses of a server. "inet" and "inet6" give those of their family alone; a path is its own address, at once.
void resolve(Resolver& resolver, const SocketAddress& server, Found found);
// Of a host of either family.
void resolve(Resolver& resolver, const std::string& host, const std::string& port, Found found);

// Tries one after the other; `reached` hears of the first that takes the connection, or how the last one failed.
void connect(StreamSocket& socket, std::vector<StreamEndpoint> addresses, Reached reached);
void connect(StreamSocket& socket, Resolver& resolver, const SocketAddress& server, Reached reached);

void write(StreamSocket& socket, std::string_view octets, Moved written);
void read_some(StreamSocket& socket, std::span<char> into, Moved read);
// Appends to `in`, which then has a delimiter before its octet `octets`, and is at most `most` long; what came behind
// that stays there for the next call. asio::error::not_found where there is none within `most`.
void read_until(StreamSocket& socket, std::string& in, std::size_t most, std::string_view delimiter, Moved read);

}  // namespace replygate::net

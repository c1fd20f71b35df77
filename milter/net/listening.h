#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <tl/expected.hpp>

#include "milter/net/stream.h"
#include "policy/load/socket.h"

namespace replygate {

using StreamAcceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;

// The passed socket (LISTEN_FDS) that is bound to the address, as its descriptor; the address itself where none is.
SocketAddress handed_over(const SocketAddress& address);

// Binds and listens, or takes over a descriptor that listens; else says why not. The stale socket of a Unix path is
// replaced, that of a running process is not; its mode is 0660.
tl::expected<StreamAcceptor, std::string> listen_on(boost::asio::io_context& context, const SocketAddress& address);

}  // namespace replygate

#include "milter/door/wake.h"

#include <boost/asio.hpp>

namespace replygate {
namespace {

namespace asio = boost::asio;

template <typename Protocol>
bool connects(const typename Protocol::endpoint& endpoint) {
  asio::io_context context;
  typename Protocol::socket socket(context);
  boost::system::error_code error;
  socket.connect(endpoint, error);
  return !error;
}

}  // namespace

bool touch(const SocketAddress& address) {
  switch (address.family) {
    case SocketAddress::Family::unix_path: return connects<asio::local::stream_protocol>({address.path});
    case SocketAddress::Family::inet:
    case SocketAddress::Family::inet6:
      return connects<asio::ip::tcp>({asio::ip::make_address(address.host), address.port});
    case SocketAddress::Family::descriptor: return false;
  }
  return false;
}

}  // namespace replygate

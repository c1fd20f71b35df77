#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "milter/net/stream.h"

namespace replygate::net {

// TLS as a client on a connected socket, whose certificate must be that of the host. The rules are those of stream.h.
class TlsStream {
 public:
  // What it refers to outlives it.
  TlsStream(StreamSocket& socket, boost::asio::ssl::context& context, const std::string& host);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  void handshake(Reached reached);
  void write(std::string_view octets, Moved written);
  void read_some(std::span<char> into, Moved read);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace replygate::net

#include "milter/net/tls.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <utility>

namespace replygate::net {

namespace asio = boost::asio;

struct TlsStream::Stream {
  asio::ssl::stream<StreamSocket&> of;
};

TlsStream::TlsStream(StreamSocket& socket, asio::ssl::context& context, const std::string& host)
    : stream_(new Stream{{socket, context}}) {
  SSL_ctrl(stream_->of.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(host.c_str()));
  stream_->of.set_verify_callback(asio::ssl::host_name_verification(host));
}

TlsStream::~TlsStream() = default;

void TlsStream::handshake(Reached reached) {
  stream_->of.async_handshake(asio::ssl::stream_base::client, std::move(reached));
}

void TlsStream::write(std::string_view octets, Moved written) {
  asio::async_write(stream_->of, asio::buffer(octets), std::move(written));
}

void TlsStream::read_some(std::span<char> into, Moved read) {
  stream_->of.async_read_some(asio::buffer(into.data(), into.size()), std::move(read));
}

}  // namespace replygate::net

#include <gtest/gtest.h>

#include <array>
#include <boost/asio.hpp>
#include <string>

#include "milter/net/stream.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

StreamEndpoint loopback(std::uint16_t port) { return tcp::endpoint(asio::ip::address_v4::loopback(), port); }

class NetTest : public testing::Test {
 protected:
  // A port of this host that nobody listens on.
  std::uint16_t closed_port() {
    tcp::acceptor taken(io_, tcp::endpoint(tcp::v4(), 0));
    return taken.local_endpoint().port();
  }

  asio::io_context io_;
  tcp::acceptor acceptor_{io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  StreamSocket socket_{io_};
};

TEST_F(NetTest, EachAddressIsTried) {
  net::Error result = asio::error::timed_out;
  net::connect(socket_, {loopback(closed_port()), loopback(acceptor_.local_endpoint().port())},
               [&](net::Error error) { result = error; });
  io_.run();
  EXPECT_FALSE(result) << result.message();
}

TEST_F(NetTest, TheLastFailureIsTold) {
  net::Error result;
  net::connect(socket_, {loopback(closed_port()), loopback(closed_port())}, [&](net::Error error) { result = error; });
  io_.run();
  EXPECT_EQ(result, asio::error::connection_refused);
}

TEST_F(NetTest, AFamilyIsRespected) {
  net::Resolver resolver(io_);
  std::vector<StreamEndpoint> found;
  net::resolve(resolver, {.family = SocketAddress::Family::inet, .host = "127.0.0.1", .port = 25},
               [&](net::Error, std::vector<StreamEndpoint> addresses) { found = std::move(addresses); });
  io_.run();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], loopback(25));
  net::Error failure;
  io_.restart();
  net::resolve(resolver, {.family = SocketAddress::Family::inet6, .host = "127.0.0.1", .port = 25},
               [&](net::Error error, const std::vector<StreamEndpoint>&) { failure = error; });
  io_.run();
  EXPECT_TRUE(failure);
}

TEST_F(NetTest, WhatStandsBehindADelimiterWaits) {
  net::connect(socket_, {loopback(acceptor_.local_endpoint().port())}, [](net::Error) {});
  tcp::socket peer = acceptor_.accept();
  asio::write(peer, asio::buffer(std::string("one\ntwo")));
  std::string in;
  std::size_t size = 0;
  net::read_until(socket_, in, 100, "\n", [&](net::Error, std::size_t octets) { size = octets; });
  io_.run();
  EXPECT_EQ(size, 4U);
  EXPECT_EQ(in.substr(0, size), "one\n");
}

TEST_F(NetTest, ALineHasItsBound) {
  net::connect(socket_, {loopback(acceptor_.local_endpoint().port())}, [](net::Error) {});
  tcp::socket peer = acceptor_.accept();
  asio::write(peer, asio::buffer(std::string(100, 'x')));
  std::string in;
  net::Error result;
  net::read_until(socket_, in, 10, "\n", [&](net::Error error, std::size_t) { result = error; });
  io_.run();
  EXPECT_EQ(result, asio::error::not_found);
  EXPECT_LE(in.size(), 10U);
}

}  // namespace
}  // namespace replygate

#include <gtest/gtest.h>

#include <array>
#include <boost/asio.hpp>
#include <string>

#include "milter/net/stream.h"
#include "milter/net/stream_server.h"
#include "tests/support/folder.h"

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

// Says its octets back.
class Echo final : public StreamClient {
 public:
  Echo(StreamSocket socket, StreamServer& server, std::chrono::milliseconds patience)
      : StreamClient(std::move(socket), server), patience_(patience) {}

  void start() override {
    give(patience_);
    net::read_some(socket(), in_, [self = self<Echo>()](net::Error error, std::size_t size) {
      if (error) return self->close();
      self->served();
      self->out_.assign(self->in_.data(), size);
      net::write(self->socket(), self->out_, [self](net::Error e, std::size_t) { e ? self->close() : self->start(); });
    });
  }

 private:
  const std::chrono::milliseconds patience_;
  std::array<char, 64> in_{};
  std::string out_;
};

class Served : public testing::Test {
 protected:
  using Local = asio::local::stream_protocol;

  void open(bool oldest_makes_room, std::chrono::milliseconds patience = std::chrono::minutes(1)) {
    server_ = StreamServer::open(
                  {.address = SocketAddress::parse("unix:" + folder_.file("s")).value(),
                   .most = 2,
                   .oldest_makes_room = oldest_makes_room,
                   .welcome = [patience](StreamSocket socket, StreamServer& server) -> std::shared_ptr<StreamClient> {
                     return std::make_shared<Echo>(std::move(socket), server, patience);
                   },
                   .crowded = [this] { ++crowded_; }})
                  .value();
    server_->start();
  }
  Local::socket connected() {
    Local::socket socket(io_);
    socket.connect(folder_.file("s"));
    return socket;
  }
  // What comes back; "" where the connection is closed.
  static std::string ask(Local::socket& socket, const std::string& text) {
    net::Error error;
    asio::write(socket, asio::buffer(text), error);
    std::string answer(text.size(), '\0');
    asio::read(socket, asio::buffer(answer), error);
    return error ? "" : answer;
  }

  test::Folder folder_;
  asio::io_context io_;
  std::atomic<int> crowded_{0};
  std::unique_ptr<StreamServer> server_;
};

TEST_F(Served, WhoComesBeyondTheBoundIsClosed) {
  open(false);
  auto first = connected();
  auto second = connected();
  EXPECT_EQ(ask(first, "a") + ask(second, "b"), "ab");
  auto third = connected();
  EXPECT_EQ(ask(third, "c"), "");
  EXPECT_EQ(crowded_, 1);
  EXPECT_EQ(ask(first, "d"), "d");
}

TEST_F(Served, WhoWasIdleForLongestMakesRoom) {
  open(true);
  auto first = connected();
  auto second = connected();
  EXPECT_EQ(ask(first, "a") + ask(second, "b") + ask(first, "c"), "abc");
  auto third = connected();
  EXPECT_EQ(ask(third, "d"), "d");
  EXPECT_EQ(ask(second, "e"), "");
  EXPECT_EQ(ask(first, "f"), "f");
}

TEST_F(Served, WhoSaysNothingHasItsTime) {
  open(false, std::chrono::milliseconds(20));
  auto silent = connected();
  std::array<char, 1> octet{};
  net::Error error;
  silent.read_some(asio::buffer(octet), error);
  EXPECT_EQ(error, asio::error::eof);
}

TEST_F(Served, AStopClosesAllAndTakesTheNameAway) {
  open(false);
  auto client = connected();
  EXPECT_EQ(ask(client, "a"), "a");
  server_->stop();
  EXPECT_EQ(ask(client, "b"), "");
  EXPECT_FALSE(std::filesystem::exists(folder_.file("s")));
}

// Nobody waits for an answer that does not come.
TEST_F(Served, AClientThatThrowsIsClosed) {
  server_ =
      StreamServer::open({.address = SocketAddress::parse("unix:" + folder_.file("s")).value(),
                          .most = 2,
                          .welcome = [](StreamSocket socket, StreamServer& server) -> std::shared_ptr<StreamClient> {
                            class Thrower final : public StreamClient {
                             public:
                              using StreamClient::StreamClient;
                              void start() override { throw std::runtime_error("of this test"); }
                            };
                            return std::make_shared<Thrower>(std::move(socket), server);
                          }})
          .value();
  server_->start();
  for (int i = 0; i < 5; ++i) {
    auto client = connected();
    EXPECT_EQ(ask(client, "a"), "");
  }
}

}  // namespace
}  // namespace replygate

#include "policy/load/socket.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

TEST(SocketAddress, ReadsAndPrints) {
  for (const char* text : {"inet:8891@127.0.0.1", "inet6:8891@[::1]", "unix:/run/replygate/milter.sock", "fd:3"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
  }
  EXPECT_EQ(SocketAddress::parse("inet:25@localhost")->text(), "inet:25@127.0.0.1");
  EXPECT_EQ(SocketAddress::parse("local:/x")->text(), "unix:/x");
}

// Of whose addresses those of the family count.
TEST(SocketAddress, AServerMayHaveANameInEitherFamily) {
  for (const char* text : {"inet:6379@redis.example", "inet6:6379@[redis.example]"}) {
    const auto address = SocketAddress::parse_server(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->host, "redis.example");
    EXPECT_EQ(address->text(), text);
  }
  EXPECT_FALSE(SocketAddress::parse_server("inet6:6379@127.0.0.1"));
  EXPECT_FALSE(SocketAddress::parse_server("inet:6379@[::1]"));
}

// libmilter would take a port beyond 65535 modulo 65536, and a missing host for all hosts.
TEST(SocketAddress, RefusesWhatLibmilterWouldMisread) {
  for (const char* text : {"", "8891", "inet:8891", "inet:99999@127.0.0.1", "inet:0@127.0.0.1", "inet:x@127.0.0.1",
                           "inet:1@::1", "inet6:1@127.0.0.1", "inet:1@host.example", "unix:relative", "unix:/",
                           "fd:", "fd:-1", "fd:4096", "tcp:1@127.0.0.1"}) {
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
  }
  EXPECT_FALSE(SocketAddress::parse("unix:/" + std::string(107, 'x')));
  EXPECT_TRUE(SocketAddress::parse("unix:/" + std::string(106, 'x')));
}

}  // namespace
}  // namespace replygate

#include "milter/door/delegation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <filesystem>

#include "policy/count/store_memory.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

class DelegationTest : public ::testing::Test {
 protected:
  DelegationTest() : path_("/tmp/replygate-delegation-test." + std::to_string(::getpid())) {
    std::filesystem::remove(path_);
  }
  ~DelegationTest() override { std::filesystem::remove(path_); }

  SocketAddress address() const { return SocketAddress::parse("unix:" + path_).value(); }

  tl::expected<std::unique_ptr<StreamServer>, std::string> open() {
    return open_delegation_door(
        address(), {world_.policy, world_.gate, world_.records, world_.references, clock_, traffic_, times_});
  }

  std::string ask(Local::socket& socket, std::string_view recipient, std::string_view client = "203.0.113.5") {
    const std::string request = fmt::format(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={}\nsender=a@b.example\nrecipient={}\n\n",
        client, recipient);
    // In two pieces: a request may come in any number of packets.
    asio::write(socket, asio::buffer(request.substr(0, 20)));
    asio::write(socket, asio::buffer(request.substr(20)));
    std::string answer;
    boost::system::error_code error;
    const std::size_t length = asio::read_until(socket, asio::dynamic_buffer(answer), "\n\n", error);
    return error ? "" : answer.substr(0, length);
  }

  Local::socket connected() {
    Local::socket socket(context_);
    socket.connect({path_});
    return socket;
  }

  std::string path_;
  asio::io_context context_;
  World world_{R"(
[site]
local_domains = ["ours.example"]
[[rule]]
name = "quota"
limit = "0 recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "needs-the-route"
when = { recipient_route = "smtp" }
reply = "access-denied"
[[rule]]
name = "closed-client"
when = { client_ip = "198.51.100.1" }
reply = 421
[[rule]]
name = "no-open-relay"
unless = { recipient_domain = "$local_domains" }
reply = "relay-denied"
)"};
  Clock clock_;
  Traffic traffic_;
  DecisionTimes times_;
};

TEST_F(DelegationTest, AnswersManyRequestsOnOneConnection) {
  auto door = open();
  ASSERT_TRUE(door) << door.error();
  (*door)->start();
  auto socket = connected();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ask(socket, "x@ours.example"), "action=DUNNO\n\n");
    EXPECT_EQ(ask(socket, "x@other.example"), "action=571 5.7.1 Relaying denied\n\n");
  }
  (*door)->stop();
  EXPECT_EQ(world_.records.json.size(), 100U);  // the refusals alone
  EXPECT_NE(world_.records.json.front().find("\"door\":\"policy_service\""), std::string::npos);
}

TEST_F(DelegationTest, ASessionThatTheMilterWouldCloseIsRefusedOnce) {
  auto door = open();
  ASSERT_TRUE(door) << door.error();
  (*door)->start();
  auto socket = connected();
  EXPECT_EQ(ask(socket, "x@ours.example", "198.51.100.1"), "action=421 4.7.1 Refused by the policy of this site\n\n");
  (*door)->stop();
  EXPECT_EQ(world_.records.json.size(), 1U);
}

TEST_F(DelegationTest, ClosesWhatIsNoRequest) {
  auto door = open();
  ASSERT_TRUE(door) << door.error();
  (*door)->start();
  auto socket = connected();
  asio::write(socket, asio::buffer(std::string_view("GET / HTTP/1.0\n\n")));
  char octet = 0;
  boost::system::error_code error;
  asio::read(socket, asio::buffer(&octet, 1), error);
  EXPECT_EQ(error, asio::error::eof);
  auto endless = connected();
  const std::string line(1000, 'x');
  while (!error || error == asio::error::eof) {
    error = {};
    asio::write(endless, asio::buffer(line), error);
  }
  SUCCEED();  // the connection was closed once its request outgrew the bound
}

// Whoever has been idle for longest makes room, and nobody is turned away.
TEST_F(DelegationTest, AThousandIdleConnectionsShutNobodyOut) {
  auto door = open();
  ASSERT_TRUE(door) << door.error();
  (*door)->start();
  std::vector<Local::socket> idle;
  for (int i = 0; i < 1000; ++i) idle.push_back(connected());
  EXPECT_TRUE(ask(idle.back(), "x@far.example").starts_with("action=")) << "all are let in before it";
  EXPECT_TRUE(ask(idle.front(), "x@far.example").starts_with("action=")) << "served last, it is last to go";
  testing::internal::CaptureStderr();
  std::vector<Local::socket> more;
  for (int i = 0; i < 3; ++i) {
    more.push_back(connected());
    EXPECT_TRUE(ask(more.back(), "x@far.example").starts_with("action=")) << i;
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("1000 connections are open; the one idle for longest is closed"), std::string::npos) << said;
  EXPECT_EQ(traffic_.turned_away(), 3);
  EXPECT_TRUE(ask(idle.front(), "x@far.example").starts_with("action="));
  char octet = 0;
  boost::system::error_code error;
  asio::read(idle[1], asio::buffer(&octet, 1), error);
  EXPECT_EQ(error, asio::error::eof);
}

TEST_F(DelegationTest, ReplacesAStaleSocketButNotARunningOne) {
  auto first = open();
  ASSERT_TRUE(first) << first.error();
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("in use"), std::string::npos);
  first->reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_TRUE(open());
}

}  // namespace
}  // namespace replygate::test

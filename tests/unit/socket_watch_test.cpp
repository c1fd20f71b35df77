#include "milter/net/socket_watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio.hpp>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "milter/descriptor.h"

namespace replygate {
namespace {

// One end of a pair of sockets; does what it is given when it is told.
class Told : public SocketWatch::Socket {
 public:
  Told() {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) std::abort();
    own.reset(pair[0]);
    peer.reset(pair[1]);
  }
  void read_one() {
    char octet = 0;
    if (::recv(own.get(), &octet, 1, 0) == 1) heard.push_back(octet);
  }
  void say(std::string_view text) const {
    ASSERT_EQ(::send(peer.get(), text.data(), text.size(), 0), std::ssize(text));
  }

  Descriptor own;
  Descriptor peer;
  std::string heard;
  int times = 0;
  std::function<void()> then = [this] { read_one(); };

 private:
  void on_ready() noexcept override {
    ++times;
    then();
  }
};

class SocketWatchTest : public testing::Test {
 protected:
  SocketWatchTest() { watch_.start(); }

  void watch(Told& socket, SocketWatch::For what) { watch_.watch(socket, socket.own.get(), what); }
  void run() { io_.poll(); }

  boost::asio::io_context io_;
  int rounds_ = 0;
  SocketWatch watch_{io_, [this] { ++rounds_; }};
};

TEST_F(SocketWatchTest, TellsUntilAllIsRead) {
  Told socket;
  watch(socket, SocketWatch::For::reading);
  socket.say("ab");
  for (int i = 0; i < 4; ++i) run();
  EXPECT_EQ(socket.heard, "ab");
  EXPECT_EQ(socket.times, 2);
}

TEST_F(SocketWatchTest, TellsManyInOneRound) {
  std::array<Told, 5> sockets;
  for (Told& socket : sockets) {
    watch(socket, SocketWatch::For::reading);
    socket.say("x");
  }
  run();
  for (const Told& socket : sockets) EXPECT_EQ(socket.heard, "x");
  EXPECT_EQ(rounds_, 2);  // the second finds that nothing more has come
}

TEST_F(SocketWatchTest, TellsNothingOfWhatWasForgotten) {
  std::array<Told, 2> sockets;
  for (Told& socket : sockets) {
    watch(socket, SocketWatch::For::reading);
    socket.say("x");
  }
  const auto forget_both = [&] {
    for (Told& socket : sockets) watch_.forget(socket, socket.own.get());
  };
  for (Told& socket : sockets) socket.then = forget_both;
  for (int i = 0; i < 3; ++i) run();
  EXPECT_EQ(sockets[0].times + sockets[1].times, 1);
}

TEST_F(SocketWatchTest, TellsNoHangUpToWhoIsWatchedForNothing) {
  Told socket;
  watch(socket, SocketWatch::For::reading);
  socket.then = [&] { watch(socket, SocketWatch::For::nothing); };
  socket.peer.reset();
  for (int i = 0; i < 3; ++i) run();
  EXPECT_EQ(socket.times, 1);
  socket.then = [&] { watch_.forget(socket, socket.own.get()); };
  watch(socket, SocketWatch::For::reading);
  for (int i = 0; i < 3; ++i) run();
  EXPECT_EQ(socket.times, 2);
}

TEST_F(SocketWatchTest, TellsWhenThereIsRoomToWrite) {
  Told socket;
  const std::string much(1 << 20, 'x');
  ASSERT_GT(::send(socket.own.get(), much.data(), much.size(), 0), 0);
  socket.then = [&] { watch(socket, SocketWatch::For::reading); };
  watch(socket, SocketWatch::For::writing);
  run();
  EXPECT_EQ(socket.times, 0);
  std::string read(1 << 20, '\0');
  while (::recv(socket.peer.get(), read.data(), read.size(), 0) > 0) {
  }
  for (int i = 0; i < 3; ++i) run();
  EXPECT_EQ(socket.times, 1);
}

TEST_F(SocketWatchTest, IsNotToldAfterTheEnd) {
  Told socket;
  watch(socket, SocketWatch::For::reading);
  socket.say("x");
  watch_.stop();
  EXPECT_EQ(io_.run(), 1U);  // the wait that was cancelled; run() would not return while it waits
  EXPECT_EQ(socket.times, 0);
}

TEST_F(SocketWatchTest, RefusesWhatCannotBeWatched) {
  Told socket;
  EXPECT_THROW(watch_.watch(socket, -1, SocketWatch::For::reading), boost::system::system_error);
}

}  // namespace
}  // namespace replygate

#include "milter/door/asio/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/threads.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::chrono::seconds kPatience{10};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() : path_("/tmp/replygate-engine-test." + std::to_string(::getpid())), listen_("unix:" + path_) {
    std::filesystem::remove(path_);
  }
  ~EngineTest() override { std::filesystem::remove(path_); }

  // `milter`: lines of [milter].
  void use(const std::string& milter, std::string_view rules = "") {
    policy_ = policy_from("[milter]\nlisten = \"" + listen_ + "\"\n" + milter + "\n" + std::string(rules));
  }

  tl::expected<std::unique_ptr<MilterDoor>, std::string> open(Gate& gate) {
    if (policy_ == nullptr) use("");
    return open_asio_door({policy_, gate, records_, references_, clock_, traffic_.emplace_back(), times_});
  }

  std::unique_ptr<MilterDoor> serve() { return serve(gate_); }
  std::unique_ptr<MilterDoor> serve(Gate& gate) {
    auto door = open(gate);
    EXPECT_TRUE(door) << door.error();
    (*door)->start([](bool) {});
    return *std::move(door);
  }

  WireClient client() const { return WireClient(listen_); }

  std::unique_ptr<MilterDoor> serve_on(int passed) {
    policy_ = policy_from(fmt::format("[milter]\nlisten = \"fd:{}\"\n", ::dup(passed)));
    return serve();
  }

  // Negotiates so that each event is answered, and opens a session.
  WireClient session(std::string_view address = "") const {
    WireClient client(address.empty() ? std::string_view(listen_) : address);
    EXPECT_EQ(client.ask(negotiation(6, 0x1ff, 0)).command, 'O');
    EXPECT_EQ(client.ask(connect_packet("192.0.2.1")).text(), "c");
    return client;
  }

  // Somebody removes the socket's name, and it is bound again.
  void lose_name() const {
    ASSERT_TRUE(std::filesystem::remove(path_));
    ASSERT_TRUE(eventually([this] { return std::filesystem::exists(path_); }));
  }

  static std::string message(WireClient& client) {
    if (std::string said = client.ask(mail_packet("<a@x.example>")).text(); said != "c") return said;
    if (std::string said = client.ask(rcpt_packet("<r@x.example>")).text(); said != "c") return said;
    return client.ask(packet('E')).text();
  }

  std::string path_;
  std::string listen_;
  std::shared_ptr<const Policy> policy_;
  MemoryStore store_;
  Gate gate_{store_};
  References references_{1};
  LockedRecords records_;
  Clock clock_;
  std::deque<Traffic> traffic_;  // of each door
  DecisionTimes times_;
};

TEST_F(EngineTest, CarriesMail) {
  use("", "[[rule]]\nname = \"r\"\nwhen = { recipient = \"bad@x.example\" }\nreply = 571\n");
  const auto door = serve();
  auto mta = session();
  EXPECT_EQ(message(mta), "c");
  EXPECT_EQ(mta.ask(mail_packet("<a@x.example>")).text(), "c");
  EXPECT_EQ(mta.ask(rcpt_packet("<bad@x.example>")).text(), "571 5.7.1 Refused by the policy of this site");
  EXPECT_TRUE(mta.send(packet('Q')));
  EXPECT_EQ(mta.read().text(), "closed");
  EXPECT_TRUE(door->stop());
  EXPECT_EQ(records_.lines().size(), 2U);
}

TEST_F(EngineTest, OctetsMayComeInAnyPieces) {
  const auto door = serve();
  auto mta = session();
  for (const char octet : mail_packet("<a@x.example>") + rcpt_packet("<r@x.example>")) mta.send({&octet, 1});
  EXPECT_EQ(mta.read().text(), "c");
  EXPECT_EQ(mta.read().text(), "c");
  mta.send(packet('E') + mail_packet("<a@x.example>") + rcpt_packet("<r@x.example>") + packet('E'));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(mta.read().text(), "c");
  EXPECT_TRUE(mta.silent());
}

TEST_F(EngineTest, APeerThatWaitsForNothingGetsEveryReply) {
  const auto door = serve();
  auto mta = session();
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    all += mail_packet("<a@x.example>") + rcpt_packet("<r@x.example>") + packet('E');
  }
  ASSERT_TRUE(mta.send(all));
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(mta.read().text(), "c") << i;
  EXPECT_TRUE(mta.silent());
  mta.send(packet('Q'));
  EXPECT_TRUE(door->stop());
  EXPECT_EQ(records_.lines().size(), 1000U);
}

TEST_F(EngineTest, APeerThatWaitsForNothingWaitsForItsDecisions) {
  use("", "[[rule]]\nname = \"q\"\nlimit = \"150 recipients / 1h\"\nreply = \"quota-exceeded\"\n");
  OtherThreadStore store;
  Gate gate(store);
  const auto door = serve(gate);
  auto mta = session();
  std::string all;
  for (int i = 0; i < 200; ++i)
    all += packet('A') + mail_packet("<a@x.example>") + rcpt_packet("<r@x.example>") + packet('E');
  ASSERT_TRUE(mta.send(all));
  int kept = 0;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(mta.read().text(), "c");
    kept += static_cast<int>(mta.read().text() == "c");
    mta.read();
  }
  EXPECT_EQ(kept, 150);
  mta.send(packet('Q'));
  EXPECT_TRUE(door->stop());
}

TEST_F(EngineTest, ListensOnSeveralSockets) {
  std::vector<std::string> addresses = {listen_, "inet:18895@127.0.0.1"};
  if (std::filesystem::exists("/proc/net/if_inet6")) addresses.emplace_back("inet6:18895@[::1]");
  policy_ = policy_from(fmt::format("[milter]\nlisten = [\"{}\"]\n", fmt::join(addresses, "\", \"")));
  const auto door = serve();
  for (const std::string& address : addresses) {
    auto mta = session(address);
    EXPECT_EQ(message(mta), "c") << address;
  }
}

TEST_F(EngineTest, TakesPathsOverOnlyFromTheDead) {
  ::close(listen_unix(path_));  // leaves a stale one
  auto door = serve();
  struct stat file{};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0660U);
  const auto second = open(gate_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), listen_ + " is in use by another process");
  EXPECT_TRUE(door->stop());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(EngineTest, DoesNotTouchWhatIsNoSocket) {
  {
    const auto file = std::fopen(path_.c_str(), "w");
    std::fclose(file);
  }
  EXPECT_FALSE(open(gate_));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(EngineTest, ADescriptorMustListen) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  listen_ = "fd:" + std::to_string(descriptor);
  const auto door = open(gate_);
  ASSERT_FALSE(door);
  EXPECT_EQ(door.error(), listen_ + " is not a listening socket; it must be handed over by who starts replygate");
  ::close(descriptor);
}

TEST_F(EngineTest, ASuccessorTakesThePassedSocket) {
  const int passed = listen_unix(path_);
  const auto first = serve_on(passed);
  auto old_session = session();
  EXPECT_EQ(old_session.ask(mail_packet("<a@x.example>")).text(), "c");
  auto drained = std::async(std::launch::async, [&] { first->drain(kPatience); });
  // Whoever of the two takes this one, it is served.
  const auto second = serve_on(passed);
  auto new_session = session();
  EXPECT_EQ(message(new_session), "c");
  EXPECT_EQ(old_session.ask(rcpt_packet("<r@x.example>")).text(), "c");
  EXPECT_EQ(old_session.ask(packet('E')).text(), "c");
  EXPECT_EQ(message(old_session), "c") << "another message of the session";
  old_session.send(packet('Q'));
  new_session.send(packet('Q'));
  drained.wait();
  EXPECT_TRUE(first->stop());
  EXPECT_TRUE(std::filesystem::exists(path_)) << "a passed socket is not ours to remove";
  auto last = session();
  EXPECT_EQ(message(last), "c");
  ::close(passed);
}

TEST_F(EngineTest, AStopWithASuccessorTurnsTransactionsAwayAtLast) {
  const int passed = listen_unix(path_);
  const auto door = serve_on(passed);
  auto idle = session();
  auto busy = session();
  EXPECT_EQ(busy.ask(mail_packet("<a@x.example>")).text(), "c");
  auto drained = std::async(std::launch::async, [&] { door->drain(std::chrono::seconds(4)); });
  std::string said = "c";
  while (said == "c") said = message(idle);
  EXPECT_EQ(said, "421 4.3.2 Service not available, closing connection");
  EXPECT_EQ(busy.ask(rcpt_packet("<r@x.example>")).text(), "c");
  EXPECT_EQ(busy.ask(packet('E')).text(), "c");
  drained.wait();
  EXPECT_TRUE(door->stop());
  EXPECT_EQ(busy.read().text(), "closed");
  ::close(passed);
}

TEST_F(EngineTest, AStopWithoutASuccessorWaitsForOpenTransactionsAlone) {
  const auto door = serve();
  auto idle = session();
  auto busy = session();
  EXPECT_EQ(busy.ask(mail_packet("<a@x.example>")).text(), "c");
  auto drained = std::async(std::launch::async, [&] { door->drain(std::chrono::hours(1)); });
  std::string said = "c";
  while (said == "c") said = message(idle);
  EXPECT_EQ(said, "421 4.3.2 Service not available, closing connection");
  EXPECT_EQ(busy.ask(rcpt_packet("<r@x.example>")).text(), "c");
  EXPECT_EQ(busy.ask(packet('E')).text(), "c");
  drained.wait();
  EXPECT_TRUE(door->stop());
}

TEST_F(EngineTest, TheLastReplyIsSentBeforeTheEnd) {
  for (int round = 0; round < 200; ++round) {
    const auto door = serve();
    auto mta = session();
    EXPECT_EQ(mta.ask(mail_packet("<a@x.example>")).text(), "c");
    EXPECT_EQ(mta.ask(rcpt_packet("<r@x.example>")).text(), "c");
    auto stopped = std::async(std::launch::async, [&] {
      door->drain(kPatience);
      return door->stop();
    });
    EXPECT_TRUE(eventually([this] { return !std::filesystem::exists(path_); })) << "the drain has begun";
    EXPECT_EQ(mta.ask(packet('E')).text(), "c") << round;
    EXPECT_TRUE(stopped.get());
  }
}

TEST_F(EngineTest, APacketMustComeWholeInItsTime) {
  use("packet_timeout = \"1s\"");
  const auto door = serve();
  auto idle = session();
  auto partial = session();
  auto mute = client();
  partial.send(rcpt_packet("<r@x.example>").substr(0, 3));
  EXPECT_EQ(mute.read().text(), "closed") << "no negotiation";
  EXPECT_EQ(partial.read().text(), "closed");
  EXPECT_EQ(message(idle), "c") << "an idle session is well-behaved";
}

TEST_F(EngineTest, IdleSessionsEndInTheirTime) {
  use("packet_timeout = \"1s\"");
  Settings settings = policy_->settings();
  settings.bounds.idle = std::chrono::milliseconds(50);
  policy_ = std::make_shared<Policy>(policy_->site(), settings, std::vector<Rule>(), "id");
  const auto door = serve();
  auto mta = client();
  EXPECT_EQ(mta.ask(negotiation()).command, 'O');
  EXPECT_EQ(mta.read().text(), "closed");
}

TEST_F(EngineTest, RepliesMustBeRead) {
  use("packet_timeout = \"1s\"");
  const auto door = serve();
  auto mta = session();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += packet('U', strings({"FOO"}));
  std::size_t taken = 0;
  while (mta.send(many)) taken += many.size();
  EXPECT_LT(taken, std::size_t{64} << 20U) << "what is not read must stop what is taken";
  auto other = session();
  EXPECT_EQ(message(other), "c");
}

TEST_F(EngineTest, RepliesThatAreReadLateAreAllThere) {
  const auto door = serve();
  auto mta = session();
  constexpr int kMany = 300000;
  std::thread writer([&] {
    std::string many;
    for (int i = 0; i < kMany / 100; ++i) many += packet('U', strings({"FOO"}));
    for (int i = 0; i < 100; ++i) mta.send(many);
  });
  int heard = 0;
  while (heard < kMany && mta.read().command == 'c') ++heard;
  writer.join();
  EXPECT_EQ(heard, kMany);
}

TEST_F(EngineTest, PacketsAreBounded) {
  use("max_packet = \"128 KiB\"");
  const auto door = serve();
  auto mta = session();
  EXPECT_EQ(mta.ask(packet('U', std::string(100000, 'x'))).text(), "c");
  mta.send(packet('U', std::string(200000, 'x')).substr(0, 8));
  EXPECT_EQ(mta.read().text(), "closed");
}

TEST_F(EngineTest, ConnectionsAreBoundedAndWaitTheirTurn) {
  use("max_connections = 2");
  const auto door = serve();
  auto first = session();
  auto second = session();
  auto third = client();
  third.send(negotiation());
  EXPECT_EQ(message(first), "c");
  EXPECT_TRUE(third.silent());
  first.send(packet('Q'));
  EXPECT_EQ(third.read().command, 'O');
}

// Also where nobody has come since: the name is bound anew on a tick that is ten times longer than a pause.
TEST_F(EngineTest, ASocketThatIsBoundAgainAfterAPauseIsListenedTo) {
  use("max_connections = 1");
  const auto door = serve();
  {
    auto only = session();
    only.send(packet('Q'));
    only.hang_up();
  }
  lose_name();
  for (int i = 0; i < 3; ++i) {
    auto mta = session();
    EXPECT_EQ(message(mta), "c");
    mta.send(packet('Q'));
    mta.hang_up();
  }
}

TEST_F(EngineTest, WhoWaitsAtASocketWhoseNameIsRemovedIsServed) {
  use("max_connections = 1");
  const auto door = serve();
  auto first = session();
  auto waiting = client();
  waiting.send(negotiation());
  lose_name();
  auto next = client();
  next.send(negotiation());
  lose_name();
  EXPECT_TRUE(waiting.silent());
  first.send(packet('Q'));
  EXPECT_EQ(waiting.read().command, 'O');
  EXPECT_TRUE(next.silent());
  waiting.send(packet('Q'));
  EXPECT_EQ(next.read().command, 'O');
}

TEST_F(EngineTest, ThereIsRoomAgainThoughNobodyComes) {
  use("max_connections = 1");
  const auto door = serve();
  auto only = session();
  EXPECT_TRUE(eventually([this] { return traffic_.back().starving(); }));
  only.send(packet('Q'));
  EXPECT_TRUE(eventually([this] { return !traffic_.back().starving(); }));
}

TEST_F(EngineTest, DecisionsMayComeFromOtherThreads) {
  use("threads = 3", "[[rule]]\nname = \"q\"\nlimit = \"100 recipients / 1h\"\nreply = \"quota-exceeded\"\n");
  OtherThreadStore store;
  Gate gate(store);
  const auto door = serve(gate);
  std::vector<std::thread> peers;
  std::atomic<int> kept = 0;
  for (int peer = 0; peer < 10; ++peer) {
    peers.emplace_back([&] {
      auto mta = session();
      for (int i = 0; i < 20; ++i) kept += static_cast<int>(message(mta) == "c");
      mta.send(packet('Q'));
    });
  }
  for (std::thread& peer : peers) peer.join();
  EXPECT_EQ(kept, 100);
  EXPECT_TRUE(door->stop());
}

TEST_F(EngineTest, APeerMayGoWhileADecisionIsUnderWay) {
  use("", "[[rule]]\nname = \"q\"\nlimit = \"1 recipients / 1h\"\nreply = \"quota-exceeded\"\n");
  OtherThreadStore store;
  Gate gate(store);
  const auto door = serve(gate);
  store.let(false);
  {
    auto mta = session();
    mta.send(mail_packet("<a@x.example>"));
    mta.read();
    mta.send(rcpt_packet("<r@x.example>"));
  }
  auto other = session();
  other.send(mail_packet("<a@x.example>"));
  other.read();
  store.let(true);
  // The lost session gives its reservation back.
  std::string said;
  while ((said = other.ask(rcpt_packet("<r@x.example>")).text()) != "c") EXPECT_EQ(said.substr(0, 4), "452 ");
  EXPECT_TRUE(door->stop());
}

TEST_F(EngineTest, AStopWaitsForDecisions) {
  use("", "[[rule]]\nname = \"q\"\nlimit = \"1 recipients / 1h\"\nreply = \"quota-exceeded\"\n");
  OtherThreadStore store;
  Gate gate(store);
  const auto door = serve(gate);
  store.let(false);
  auto mta = session();
  mta.send(mail_packet("<a@x.example>"));
  mta.read();
  mta.send(rcpt_packet("<r@x.example>"));
  auto stopped = std::async(std::launch::async, [&] { return door->stop(); });
  EXPECT_EQ(mta.read().text(), "closed");
  store.let(true);
  EXPECT_TRUE(stopped.get());
}

TEST_F(EngineTest, ALongDecisionAtTheEndGivesSignsOfLife) {
  use("", "[[rule]]\nname = \"q\"\nlimit = \"100 bytes / 1h\"\nreply = \"quota-exceeded\"\n");
  OtherThreadStore store;
  Gate gate(store);
  const auto door = serve(gate);
  auto mta = session();
  mta.ask(mail_packet("<a@x.example>"));
  mta.ask(rcpt_packet("<r@x.example>"));
  store.let(false);
  EXPECT_EQ(mta.ask(packet('E')).text(), "p");
  store.let(true);
  EXPECT_EQ(mta.read().text(), "c");
}

TEST_F(EngineTest, StopsAtOnceWithIdleSessions) {
  const auto door = serve();
  auto mta = session();
  EXPECT_TRUE(door->stop());
  EXPECT_EQ(mta.read().text(), "closed");
}

}  // namespace
}  // namespace replygate::test

// The shared store and its servers: logging in, TLS, replicas, scripts that are forgotten, servers that go and come.

#include "milter/store/redis_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <fstream>
#include <future>
#include <thread>

#include "milter/store/open_store.h"
#include "tests/support/eventually.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kNoHurry{5};  // where it is not about time

class RedisStoreTest : public ::testing::Test {
 protected:
  static StoreSettings settings(std::vector<std::string> servers) {
    StoreSettings settings{.backend = StoreSettings::Backend::redis};
    settings.servers = std::move(servers);
    settings.timeout = milliseconds(500);
    return settings;
  }
  void open(const StoreSettings& settings) {
    store_.reset();
    auto opened = RedisStore::open(settings, clock_, health_);
    ASSERT_TRUE(opened) << opened.error();
    store_ = *std::move(opened);
  }
  bool comes_up() {
    return eventually([this] { return store_->available(); });
  }
  Readings take(std::int64_t cost = 1, bool reserve = false) {
    std::promise<Readings> told;
    const Charge one{.counter = "q", .measure = Sliding{hours(1)}, .most = 1000, .cost = cost, .reserve = reserve};
    store_->take({one}, true, clock_.now(), [&](Readings r) { told.set_value(std::move(r)); });
    return soon(told);
  }
  std::int64_t used() {
    const Readings r = take(0);
    return r.readings.empty() ? -1 : r.readings[0]->used;
  }
  void settle(ReservationId id, Settlement settlement) {
    std::promise<void> done;
    store_->settle({id}, settlement, clock_.now(), [&] { done.set_value(); });
    soon(done);
  }
  bool failed_by(std::string_view cause) const {
    const auto failures = health_.state().failures;
    return std::ranges::any_of(failures, [&](const auto& f) { return f.first.find(cause) != std::string::npos; });
  }

  Clock clock_;
  StoreHealth health_;
  std::unique_ptr<RedisStore> store_;
};

TEST_F(RedisStoreTest, LogsInWithAUserOfAnAcl) {
  // What STORE.md says that the user needs, and no more.
  const RedisServer server({"--port", "0",       "--user",         "default", "off",         "--user",  "gate",
                            "on",     ">geheim", "~{replygate}:*", "-@all",   "+evalsha",    "+eval",   "+script|load",
                            "+role",  "+wait",   "+time",          "+@hash",  "+@sortedset", "+exists", "+rename",
                            "+del",   "+pttl",   "+pexpire"});
  const Folder folder;
  folder.write("password", "geheim\n");
  StoreSettings with = settings({server.address()});
  with.user = "gate";
  with.password_file = folder.file("password");
  open(with);
  ASSERT_TRUE(comes_up());
  std::vector<Charge> all(5, {.counter = "", .measure = Sliding{hours(1)}, .most = 10, .reserve = false, .member = ""});
  all[1].measure = Bucket::Rate{60, hours(1)};
  all[2].measure = Fixed{clock_.now() + hours(1)};
  all[3].measure = Distinct{hours(1)};
  all[3].member = "m";
  all[4].measure = Greylisting{std::chrono::minutes(5), hours(1), hours(9), 0};
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].even_if_full = true;
    all[i].counter = fmt::format("c{}", i);
    all[i].was = fmt::format("c{}", 9 - i);
  }
  for (int i = 0; i < 2; ++i) {
    for (Charge& c : all) std::swap(c.counter, c.was);
    std::promise<Readings> told;
    store_->take(all, true, clock_.now(), [&](Readings r) { told.set_value(std::move(r)); });
    EXPECT_EQ(soon(told).readings.size(), all.size());
  }
  settle(take(1, true).reservation, Settlement::keep);
  EXPECT_EQ(used(), 1);
  std::promise<bool> forgotten;
  store_->forget({"q"}, clock_.now(), [&](bool reached) { forgotten.set_value(reached); });
  EXPECT_TRUE(soon(forgotten));
  EXPECT_EQ(used(), 0);
  EXPECT_TRUE(health_.state().failures.empty());
  folder.write("password", "falsch\n");
  open(with);
  EXPECT_TRUE(eventually([this] { return failed_by("WRONGPASS"); }));
  EXPECT_TRUE(take().readings.empty());
  with.password_file = folder.file("nowhere");
  EXPECT_FALSE(RedisStore::open(with, clock_, health_));
}

// What is reserved lives as long as who has reserved it, and no longer.
TEST_F(RedisStoreTest, RenewsWhatIsReservedUntilItDies) {
  const RedisServer server;
  StoreSettings brief = settings({server.address()});
  brief.reservation_timeout = milliseconds(1500);
  open(brief);
  ASSERT_TRUE(comes_up());
  EXPECT_NE(take(3, true).reservation, 0U);
  const auto end = std::chrono::steady_clock::now() + milliseconds(3500);
  while (std::chrono::steady_clock::now() < end) ASSERT_EQ(used(), 3);
  open(brief);
  ASSERT_TRUE(comes_up());
  EXPECT_TRUE(eventually([this] { return used() == 0; }));
}

TEST_F(RedisStoreTest, OverTls) {
  const Folder folder;
  const std::string make = fmt::format(
      "cd {} && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost "
      "-addext subjectAltName=IP:127.0.0.1 2>/dev/null",
      folder.path().string());
  ASSERT_EQ(std::system(make.c_str()), 0);
  const std::string port = std::to_string(20000 + ::getpid() % 20000);
  const RedisServer server({"--port", "0", "--tls-port", port, "--tls-cert-file", folder.file("cert.pem"),
                            "--tls-key-file", folder.file("key.pem"), "--tls-auth-clients", "no"});
  StoreSettings with = settings({fmt::format("inet:{}@127.0.0.1", port)});
  with.tls = true;
  with.timeout = kNoHurry;
  with.ca_file = folder.file("cert.pem");
  open(with);
  ASSERT_TRUE(comes_up());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(take().readings[0]->used, i);
  with.ca_file.clear();  // nobody vouches for the certificate
  open(with);
  EXPECT_TRUE(eventually([this] { return failed_by("TLS: "); }));
  EXPECT_FALSE(store_->available());
}

TEST_F(RedisStoreTest, TakesThePrimaryOfItsServers) {
  const std::string port = std::to_string(20001 + ::getpid() % 20000);
  const RedisServer primary({"--port", port});
  const RedisServer replica({"--port", "0", "--replicaof", "127.0.0.1", port});
  StoreSettings with = settings({replica.address(), primary.address()});
  with.wait_replicas = 1;
  with.timeout = kNoHurry;
  open(with);
  ASSERT_TRUE(comes_up());
  ASSERT_TRUE(eventually(
      [&] { return replica.ask({"INFO", "replication"}).find("master_link_status:up") != std::string::npos; }));
  EXPECT_EQ(used(), 0);
  EXPECT_EQ(take().readings[0]->used, 0);
  replica.ask({"REPLICAOF", "NO", "ONE"});  // promoted: what was acknowledged is there
  primary.ask({"REPLICAOF", "127.0.0.1", "1"});
  with.wait_replicas = 0;
  open(with);
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(used(), 1);
}

// All keys of a decision are in one slot, and whoever is asked says where that is.
TEST_F(RedisStoreTest, FollowsACluster) {
  const int base = 20002 + ::getpid() % 10000;
  const auto node = [&](int number) {
    return std::vector<std::string>{"--port", std::to_string(base + number), "--cluster-enabled", "yes"};
  };
  const RedisServer first(node(0));
  const RedisServer second(node(1));
  second.ask({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"});
  first.ask({"CLUSTER", "MEET", "127.0.0.1", std::to_string(base + 1)});
  ASSERT_TRUE(eventually([&] { return first.ask({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos; }));
  open(settings({first.address()}));
  ASSERT_TRUE(comes_up());
  EXPECT_TRUE(eventually([this] { return used() == 0; }));
  EXPECT_EQ(take().readings.at(0)->used, 0);
  EXPECT_EQ(second.ask({"DBSIZE"}), "1\n");
  EXPECT_EQ(first.ask({"DBSIZE"}), "0\n");
}

// Half of it there, then all elsewhere: nobody can decide until the slot has arrived.
TEST_F(RedisStoreTest, WhileTheSlotMovesThereAreNoReadings) {
  const int base = 20004 + ::getpid() % 10000;
  const auto node = [&](int number) {
    return std::vector<std::string>{"--port", std::to_string(base + number), "--cluster-enabled", "yes"};
  };
  const RedisServer from(node(0));
  const RedisServer to(node(1));
  const auto id_of = [](const RedisServer& server) { return server.ask({"CLUSTER", "MYID"}).substr(0, 40); };
  from.ask({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"});
  from.ask({"CLUSTER", "MEET", "127.0.0.1", std::to_string(base + 1)});
  ASSERT_TRUE(eventually([&] { return to.ask({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos; }));
  open(settings({from.address()}));
  ASSERT_TRUE(comes_up());
  ASSERT_EQ(take(3).readings.at(0)->used, 0);
  std::string slot = from.ask({"CLUSTER", "KEYSLOT", "{replygate}:q"});
  slot.pop_back();
  ASSERT_EQ(to.ask({"CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(from)}), "OK\n");
  ASSERT_EQ(from.ask({"CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(to)}), "OK\n");
  EXPECT_TRUE(take().readings.empty());
  EXPECT_TRUE(failed_by("TRYAGAIN"));
  ASSERT_EQ(from.ask({"MIGRATE", "127.0.0.1", std::to_string(base + 1), "{replygate}:q", "0", "5000"}), "OK\n");
  EXPECT_TRUE(take().readings.empty());
  EXPECT_TRUE(failed_by("ASK "));
  EXPECT_FALSE(health_.good());
  to.ask({"CLUSTER", "SETSLOT", slot, "NODE", id_of(to)});
  from.ask({"CLUSTER", "SETSLOT", slot, "NODE", id_of(to)});
  EXPECT_TRUE(eventually([this] { return used() == 3; }));
  EXPECT_EQ(take().readings.at(0)->used, 3);
  EXPECT_TRUE(health_.good());
}

TEST_F(RedisStoreTest, AForgottenScriptIsSentAgain) {
  const RedisServer server;
  open(settings({server.address()}));
  ASSERT_TRUE(comes_up());
  take();
  server.ask({"SCRIPT", "FLUSH"});
  EXPECT_EQ(take().readings.at(0)->used, 1);
  EXPECT_TRUE(health_.state().failures.empty());
}

TEST_F(RedisStoreTest, AServerThatGoesAndComes) {
  RedisServer server;
  open(settings({server.address()}));
  ASSERT_TRUE(comes_up());
  take();
  server.kill();
  EXPECT_TRUE(eventually([this] { return !store_->available(); }));
  EXPECT_TRUE(take().readings.empty());
  EXPECT_FALSE(health_.good());
  server.start();
  ASSERT_TRUE(comes_up());
  EXPECT_EQ(used(), 0);
  EXPECT_TRUE(health_.good());
}

// A server that stands still is not sent more than a few commands; what was asked gets its answer in time.
TEST_F(RedisStoreTest, AServerThatStandsStill) {
  const RedisServer server;
  StoreSettings with = settings({server.address()});
  with.timeout = milliseconds(50);
  with.connections = 1;
  open(with);
  ASSERT_TRUE(comes_up());
  server.signal(SIGSTOP);
  int answered = 0;
  for (int i = 0; i < 40; ++i) answered += take().readings.empty() ? 1 : 0;
  EXPECT_EQ(answered, 40);
  EXPECT_FALSE(store_->available());
  server.signal(SIGCONT);
  ASSERT_TRUE(comes_up());
  EXPECT_LE(used(), 5);
}

// Status knows without any mail, and forgets soon.
TEST_F(RedisStoreTest, AServerThatStandsStillShowsWithoutMail) {
  const RedisServer server;
  StoreSettings with = settings({server.address()});
  with.connections = 1;
  open(with);
  ASSERT_TRUE(comes_up());
  server.signal(SIGSTOP);
  EXPECT_TRUE(eventually([this] { return !health_.good(); }));
  EXPECT_TRUE(failed_by("no answer in time"));
  EXPECT_TRUE(eventually([this] { return !store_->available(); }));  // nobody waits for it any more
  server.signal(SIGCONT);
  const auto continued = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([this] { return health_.good(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - continued, std::chrono::seconds(2));
}

// That a server answers says nothing of what it does not do.
TEST_F(RedisStoreTest, ABeatEndsNoOtherTrouble) {
  const RedisServer server;
  open(settings({server.address()}));
  ASSERT_TRUE(comes_up());
  health_.failed("of another kind", "");
  server.signal(SIGSTOP);
  EXPECT_TRUE(eventually([this] { return health_.state().trouble != "of another kind"; }));
  server.signal(SIGCONT);
  EXPECT_TRUE(eventually([this] { return health_.good(); }));
  health_.failed("of another kind", "");
  EXPECT_TRUE(eventually([&, before = server.calls("ping")] { return server.calls("ping") >= before + 2; }));
  EXPECT_EQ(health_.state().trouble, "of another kind");
  take();
  EXPECT_TRUE(health_.good());
}

TEST_F(RedisStoreTest, AHandlerThatThrowsCostsNobodyElseHisAnswer) {
  const RedisServer server;
  boost::asio::io_context io;
  redis::Servers servers({SocketAddress::parse_server(server.address()).value()});
  const redis::Connection::Options options{.user = "", .password = "", .script = "return 1"};
  int answers = 0;
  const auto connection = std::make_shared<redis::Connection>(
      io, servers, options, nullptr, redis::Connection::Events{[](const std::string&) {}, [] {}});
  const auto send = [&](redis::Connection::Answered answered) {
    connection->send(redis::command({"PING"}), 1, std::chrono::steady_clock::now() + hours(1), std::move(answered));
  };
  send([](std::vector<redis::Reply>, const std::string&) { throw std::runtime_error("of this test"); });
  send([&](const std::vector<redis::Reply>&, const std::string& failure) {
    answers += failure.empty() ? 1 : 0;
    send([&](const std::vector<redis::Reply>&, const std::string& second) {
      answers += second.empty() ? 1 : 0;
      connection->stop();
      io.stop();
    });
  });
  connection->start();
  io.run_for(std::chrono::seconds(10));
  EXPECT_EQ(answers, 2);
}

// What could not be settled is settled later, and only once.
TEST_F(RedisStoreTest, SettlesOnReturn) {
  const RedisServer server;
  StoreSettings with = settings({server.address()});
  with.timeout = milliseconds(50);
  open(with);
  ASSERT_TRUE(comes_up());
  const ReservationId kept = take(2, true).reservation;
  const ReservationId returned = take(4, true).reservation;
  EXPECT_EQ(used(), 6);
  server.signal(SIGSTOP);
  while (store_->available()) take(0);
  settle(kept, Settlement::keep);
  settle(returned, Settlement::give_back);
  server.signal(SIGCONT);
  ASSERT_TRUE(comes_up());
  EXPECT_TRUE(eventually([this] { return used() == 2; }));
  const std::string hash = server.ask({"HVALS", "{replygate}:q"});
  EXPECT_EQ(hash, "2\n");
}

TEST_F(RedisStoreTest, KeysDoNotOutliveTheirUse) {
  const RedisServer server;
  open(settings({server.address()}));
  ASSERT_TRUE(comes_up());
  take();
  const int ttl = std::stoi(server.ask({"TTL", "{replygate}:q"}));
  EXPECT_GE(ttl, 3599);
  EXPECT_LE(ttl, 3600 + 38);
  EXPECT_EQ(server.ask({"DBSIZE"}), "1\n");
}

TEST_F(RedisStoreTest, IsOpenedByItsSettings) {
  const RedisServer server;
  auto store = open_store(settings({server.address()}), clock_, health_);
  ASSERT_TRUE(store);
  const Charge one{.counter = "q", .measure = Sliding{hours(1)}, .most = 10, .reserve = false};
  EXPECT_TRUE(eventually([&] {
    std::promise<bool> told;
    (*store)->take({one}, true, clock_.now(), [&](const Readings& r) { told.set_value(!r.readings.empty()); });
    return soon(told);
  }));
}

}  // namespace
}  // namespace replygate::test

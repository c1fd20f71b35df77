// What peers do to a daemon: connections that end while idle, answers that come late, files that are exchanged.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "milter/lookup/mailboxes.h"
#include "milter/store/redis_store.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/redis_server.h"
#include "tests/support/wire.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MailboxUse ask(Mailboxes& mailboxes, std::string_view address) {
  std::promise<MailboxUse> told;
  mailboxes.used(canonical_address(address, {.default_domain = "x", .is_local = [](auto) { return false; }}), 0,
                 [&](MailboxUse use) { told.set_value(use); });
  return soon(told);
}

// Answers one question a connection, and closes it then, as Dovecot does with one that is idle. `cut`: it closes before
// it has answered.
class Forgetful {
 public:
  Forgetful(const std::string& path, bool cut)
      : listener_(listen_unix(path)), cut_(cut), thread_([this] { serve(); }) {}
  ~Forgetful() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Forgetful(const Forgetful&) = delete;
  Forgetful& operator=(const Forgetful&) = delete;

  std::atomic<int> connections = 0;

 private:
  void serve() {
    for (int peer = 0; (peer = ::accept(listener_, nullptr, nullptr)) >= 0;) {
      ++connections;
      std::string in;
      char chunk[1024];
      for (ssize_t n = 0; !in.ends_with("\n\n") && (n = ::read(peer, chunk, sizeof chunk)) > 0;) {
        in.append(chunk, static_cast<std::size_t>(n));
      }
      constexpr std::string_view kAnswer = "action=552 5.2.2 full\n\n";
      const auto size = static_cast<ssize_t>(kAnswer.size());
      EXPECT_TRUE(cut_ || ::write(peer, kAnswer.data(), kAnswer.size()) == size);
      ::close(peer);
    }
  }

  int listener_;
  const bool cut_;
  std::thread thread_;
};

class PeerFaults : public ::testing::Test, protected Folder {
 protected:
  mutable Troubles troubles_;

  std::unique_ptr<Mailboxes> service() const {
    return open_mailboxes({.quota_status = "unix:" + file("s"), .timeout = seconds(20)}, troubles_).value();
  }
};

TEST_F(PeerFaults, AConnectionThatEndedWhileIdleIsMadeAnew) {
  const Forgetful dovecot(file("s"), false);
  const auto mailboxes = service();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse::of(100)) << i;
}

TEST_F(PeerFaults, AFreshConnectionIsTriedOnce) {
  const Forgetful dovecot(file("s"), true);
  EXPECT_EQ(ask(*service(), "bob@x.example"), MailboxUse());
  EXPECT_EQ(dovecot.connections, 1);
}

// Answers "full" to the first question, twice, and "there is room" to all others.
class Repeating {
 public:
  explicit Repeating(const std::string& path) : listener_(listen_unix(path)), thread_([this] { serve(); }) {}
  ~Repeating() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Repeating(const Repeating&) = delete;
  Repeating& operator=(const Repeating&) = delete;

  std::promise<void> repeated;

 private:
  void serve() {
    int questions = 0;
    for (int peer = 0; (peer = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(peer)) {
      std::string in;
      char chunk[1024];
      for (ssize_t n = 0; (n = ::read(peer, chunk, sizeof chunk)) > 0;) {
        in.append(chunk, static_cast<std::size_t>(n));
        if (!in.ends_with("\n\n")) continue;
        in.clear();
        const bool first = ++questions == 1;
        say(peer, first ? "action=552 5.2.2 full\n\n" : "action=DUNNO\n\n");
        if (!first) continue;
        say(peer, "action=552 5.2.2 full\n\n");
        repeated.set_value();
      }
    }
  }
  static void say(int peer, std::string_view text) { ::send(peer, text.data(), text.size(), MSG_NOSIGNAL); }

  int listener_;
  std::thread thread_;
};

TEST_F(PeerFaults, AnAnswerThatCameTwiceIsNotThatOfTheNextQuestion) {
  Repeating dovecot(file("s"));
  const auto mailboxes = service();
  EXPECT_EQ(ask(*mailboxes, "full@x.example"), MailboxUse::of(100));
  dovecot.repeated.get_future().wait();
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse::of(0));
}

TEST_F(PeerFaults, AServiceThatDoesNotAnswerIsTroubleUntilItDoes) {
  const auto mailboxes = service();
  testing::internal::CaptureStderr();
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse());
  EXPECT_NE(testing::internal::GetCapturedStderr().find("; mailbox_used is unknown"), std::string::npos);
  ASSERT_EQ(troubles_.all().size(), 1U);
  EXPECT_NE(troubles_.all().front().what.find("[mailbox] unix:"), std::string::npos);
  const Forgetful dovecot(file("s"), false);
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse::of(100));
  EXPECT_TRUE(troubles_.all().empty());
}

void make_database(const std::string& path, int used) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  const std::string sql =
      fmt::format("create table m(address, used, quota); insert into m values('bob@x.example', {}, 100)", used);
  ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
}

TEST_F(PeerFaults, ADatabaseThatIsExchangedIsAskedAnew) {
  make_database(file("m.db"), 10);
  const DataSource source{DataSource::Kind::sqlite, file("m.db"), "select used, quota from m where address = ?"};
  const auto mailboxes = open_mailboxes({.source = source}, troubles_).value();
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse::of(10));
  make_database(file("new.db"), 70);
  std::filesystem::rename(file("new.db"), file("m.db"));
  EXPECT_TRUE(eventually([&] { return ask(*mailboxes, "bob@x.example") == MailboxUse::of(70); }));
  // One that cannot be used leaves the old one open.
  write("m.db", "no database");
  EXPECT_TRUE(eventually([&] { return !troubles_.all().empty(); }));
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse::of(70));
  std::filesystem::remove(file("m.db"));
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), MailboxUse::of(70));
}

class LateRedis : public ::testing::Test {
 protected:
  LateRedis() {
    StoreSettings settings{.backend = StoreSettings::Backend::redis, .servers = {server_.address()}};
    settings.timeout = milliseconds(40);
    store_ = RedisStore::open(settings, clock_, health_).value();
    EXPECT_TRUE(eventually([this] { return store_->available(); }));
  }
  Readings take(std::int64_t cost, bool reserve) {
    std::promise<Readings> told;
    const Charge one{
        .counter = "q", .measure = Sliding{std::chrono::hours(1)}, .most = 1000, .cost = cost, .reserve = reserve};
    store_->take({one}, true, clock_.now(), [&](Readings r) { told.set_value(std::move(r)); });
    return soon(told);
  }
  void settle(ReservationId id, Settlement settlement) {
    std::promise<void> done;
    store_->settle({id}, settlement, clock_.now(), [&] { done.set_value(); });
    soon(done);
  }
  void pause() const { server_.ask({"CLIENT", "PAUSE", "200", "ALL"}); }
  // In which the store would have told once more what it had not settled: it has said PING, each 250 ms.
  void let_time_pass() const {
    EXPECT_TRUE(eventually([&, before = server_.calls("ping")] { return server_.calls("ping") >= before + 3; }));
  }
  // The counter holds what was kept, and no reservation.
  bool holds(std::string_view kept) const { return server_.ask({"HVALS", "{replygate}:q"}) == kept; }

  const RedisServer server_;
  Clock clock_;
  StoreHealth health_;
  std::unique_ptr<RedisStore> store_;
};

TEST_F(LateRedis, WhatCouldNotBeSettledInTimeIsSettledOnce) {
  const ReservationId kept = take(2, true).reservation;
  const ReservationId returned = take(4, true).reservation;
  pause();
  settle(kept, Settlement::keep);
  settle(returned, Settlement::give_back);
  EXPECT_TRUE(store_->available());  // one late answer is no reason to leave a server
  EXPECT_TRUE(eventually([this] { return holds("2\n"); }));
  let_time_pass();  // told once more, it would count twice
  EXPECT_TRUE(holds("2\n"));
}

TEST_F(LateRedis, WhatWasReservedBehindALateAnswerIsGivenBack) {
  take(1, false);
  pause();
  EXPECT_TRUE(take(8, true).readings.empty());
  EXPECT_TRUE(eventually([this] { return holds("1\n"); })) << server_.ask({"HGETALL", "{replygate}:q"});
  let_time_pass();
  EXPECT_TRUE(holds("1\n"));
}

}  // namespace
}  // namespace replygate::test

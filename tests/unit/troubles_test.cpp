// All green must mean that all is well: what a host takes away shows while it lasts, and no longer.

#include "milter/log/troubles.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <future>

#include "milter/door/asio/engine.h"
#include "milter/json_members.h"
#include "milter/log/history.h"
#include "milter/lookup/list_watch.h"
#include "milter/lookup/mailboxes.h"
#include "milter/net/socket_name.h"
#include "milter/serve/metrics.h"
#include "milter/serve/report_status.h"
#include "tests/support/eventually.h"
#include "tests/support/office.h"
#include "tests/support/wire.h"

namespace replygate::test {
namespace {

using std::chrono::seconds;

constexpr std::string_view kRule = "[[rule]]\nname = \"r\"\nwhen = { sender = \"a@b.example\" }\nreply = 554\n";

class TroublesTest : public ::testing::Test, protected Folder {
 protected:
  TroublesTest() { testing::internal::CaptureStderr(); }
  ~TroublesTest() override { testing::internal::GetCapturedStderr(); }
  TroublesTest(const TroublesTest&) = delete;
  TroublesTest& operator=(const TroublesTest&) = delete;

  // All that lasts, one a line.
  static std::string text(const Troubles& troubles) {
    std::string all;
    for (const auto& t : troubles.all()) all += t.what + '\n';
    return all;
  }
  std::string text() const { return text(troubles_); }
  bool becomes(const std::string& wanted) const {
    return eventually([&] { return text() == wanted; });
  }
  MailboxUse ask(Mailboxes& mailboxes) const {
    std::promise<MailboxUse> told;
    mailboxes.used(canonical_address("bob@x.example", {.default_domain = "x", .is_local = [](auto) { return false; }}),
                   0, [&](MailboxUse use) { told.set_value(use); });
    return soon(told);
  }
  void sql(const std::string& path, const std::string& statements) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, statements.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  mutable Troubles troubles_;
};

TEST_F(TroublesTest, LastUntilTheyAreToldNoMore) {
  const Troubles::Time start{};
  troubles_.tell("a", {"one", "", "two"}, start);
  troubles_.tell("b", {"three"}, start + seconds(5));
  troubles_.tell("a", {"two"}, start + seconds(6));
  const auto all = troubles_.all(start + seconds(7));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].what, "two");
  EXPECT_EQ(all[0].lasting, seconds(7));  // since it was told first
  EXPECT_EQ(all[1].lasting, seconds(2));
  troubles_.tell("a", {});
  EXPECT_EQ(troubles_.counts(), (std::map<std::string, std::size_t>{{"a", 0}, {"b", 1}}));
}

TEST_F(TroublesTest, AListThatIsGoneOrWrong) {
  write(
      "p.toml",
      "version = 1\n[lists]\na = { file = \"a\" }\n[[rule]]\nname = \"r\"\nwhen = { sender = \"$a\" }\nreply = 554\n");
  write("a", "a@bad.example\n");
  ListWatch watch(file("p.toml"));
  ASSERT_TRUE(watch.load().ok());
  const auto look = [&] {
    watch.look();
    troubles_.tell("lists", watch.troubles());
    return text();
  };
  EXPECT_EQ(look(), "");
  std::filesystem::rename(file("a"), file("b"));
  const std::string gone = file("a") + ": No such file or directory; its last content is kept\n";
  EXPECT_EQ(look(), gone);
  EXPECT_EQ(look(), gone);
  std::filesystem::rename(file("b"), file("a"));
  EXPECT_EQ(look(), "");
  write("a", "d d d@\x01\n@\n");
  EXPECT_NE(look().find("a changed list makes the policy wrong, and the lists stay as they were: error["),
            std::string::npos)
      << text();
  write("a", "a@bad.example\n");
  EXPECT_EQ(look(), "");
}

TEST_F(TroublesTest, AMailboxFileThatIsGoneOrMakesNoSense) {
  write("q", "# all of them\n\nbob@x.example 1MB 2MB\nbob\na b c\n1 2\n");
  const auto mailboxes =
      open_mailboxes({.source = DataSource{DataSource::Kind::file, file("q"), ""}}, troubles_).value();
  const std::string nonsense =
      "[mailbox] " + file("q") + ": line 4 and 2 more are not understood and ignored; a line is: user used limit\n";
  EXPECT_EQ(text(), nonsense);
  std::filesystem::rename(file("q"), file("r"));
  EXPECT_TRUE(becomes("[mailbox] " + file("q") + ": No such file or directory; its last content is kept\n" + nonsense))
      << text();
  EXPECT_EQ(ask(*mailboxes), MailboxUse::of(50));
  write("q", "bob@x.example 1MB 1MB\nbob\n");
  EXPECT_TRUE(
      becomes("[mailbox] " + file("q") + ": line 2 is not understood and ignored; a line is: user used limit\n"))
      << text();
  write("q", "bob@x.example 1MB 1MB\n");
  EXPECT_TRUE(becomes("")) << text();
}

// The folder that it is in may not be entered for a while; the file stays as it was.
TEST_F(TroublesTest, AMailboxFileThatCannotBeReachedForAWhile) {
  std::filesystem::create_directory(path() / "d");
  write("d/q", "bob@x.example 1MB 2MB\n");
  const auto mailboxes =
      open_mailboxes({.source = DataSource{DataSource::Kind::file, file("d/q"), ""}}, troubles_).value();
  std::filesystem::rename(file("d"), file("e"));
  EXPECT_TRUE(eventually([&] { return !text().empty(); }));
  std::filesystem::rename(file("e"), file("d"));
  EXPECT_TRUE(becomes("")) << text();
}

// Without any mail, too.
TEST_F(TroublesTest, AMailboxDatabaseThatIsGoneOrLocked) {
  sql(file("m.db"), "create table m(address, used, quota); insert into m values('bob@x.example', 10, 100)");
  const DataSource source{DataSource::Kind::sqlite, file("m.db"), "select used, quota from m where address = ?"};
  const auto mailboxes = open_mailboxes({.source = source}, troubles_).value();
  std::filesystem::rename(file("m.db"), file("n.db"));
  EXPECT_TRUE(becomes("[mailbox] " + file("m.db") + ": No such file or directory; the old file is asked\n")) << text();
  std::filesystem::rename(file("n.db"), file("m.db"));
  EXPECT_TRUE(becomes("")) << text();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file("m.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(ask(*mailboxes), MailboxUse());
  EXPECT_EQ(text(), "[mailbox] " + file("m.db") + ": cannot be asked: database is locked; mailbox_used is unknown\n");
  sqlite3_close(other);
  EXPECT_TRUE(becomes("")) << text();
}

// Answers one question a connection; takes no connections any more once it is gone.
class Answering {
 public:
  explicit Answering(const std::string& path) : listener_(listen_unix(path)), thread_([this] { serve(); }) {}
  ~Answering() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

 private:
  void serve() const {
    for (int peer = 0; (peer = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(peer)) {
      std::string in;
      char chunk[1024];
      for (ssize_t n = 0; !in.ends_with("\n\n") && (n = ::read(peer, chunk, sizeof chunk)) > 0;) {
        in.append(chunk, static_cast<std::size_t>(n));
      }
      if (in.empty()) continue;
      constexpr std::string_view kAnswer = "action=DUNNO\n\n";
      EXPECT_EQ(::write(peer, kAnswer.data(), kAnswer.size()), static_cast<ssize_t>(kAnswer.size()));
    }
  }

  int listener_;
  std::thread thread_;
};

TEST_F(TroublesTest, AQuotaServiceThatIsNotThere) {
  const auto mailboxes =
      open_mailboxes({.quota_status = "unix:" + file("s"), .timeout = std::chrono::seconds(20)}, troubles_).value();
  EXPECT_EQ(ask(*mailboxes), MailboxUse());
  const std::string absent = "[mailbox] unix:" + file("s") + ": No such file or directory; mailbox_used is unknown\n";
  EXPECT_EQ(text(), absent);
  const Answering dovecot(file("s"));
  EXPECT_TRUE(becomes("")) << text();  // without a question
  EXPECT_EQ(ask(*mailboxes), MailboxUse::of(0));
}

// Whatever somebody removes: no record behind that is lost.
TEST_F(TroublesTest, AHistoryThatSomebodyRemovesIsMadeAnew) {
  auto history = History::open(file("h"), {}, troubles_).value();
  const auto record = [](int number) { return fmt::format(R"({{"sender":"bob","n":{}}})", number); };
  const auto keep = [&](int number) {
    constexpr std::string_view kWords[] = {"bob"};
    const auto before = history->written() + history->dropped();
    history->keep(Instant(std::chrono::hours(1)), kWords, record(number) + '\n');
    EXPECT_TRUE(eventually([&] { return history->written() + history->dropped() > before; }));
  };
  keep(1);
  std::filesystem::remove_all(file("h"));
  keep(2);
  EXPECT_EQ(history->find("bob", 10), std::vector<std::string>{record(2)});
  std::filesystem::remove(file("h/00000001.db"));
  keep(3);
  EXPECT_EQ(history->find("bob", 10), std::vector<std::string>{record(3)});
  std::filesystem::remove(file("h/00000001.db-wal"));
  keep(4);
  EXPECT_EQ(history->find("bob", 1), std::vector<std::string>{record(4)});
  EXPECT_EQ(history->dropped(), 0);
  EXPECT_EQ(text(), "");
  std::filesystem::remove_all(file("h"));
  write("h", "no folder");
  keep(5);
  EXPECT_EQ(history->dropped(), 1);
  EXPECT_TRUE(text().starts_with("history: " + file("h"))) << text();
  std::filesystem::remove(file("h"));
  keep(6);
  EXPECT_EQ(history->find("bob", 10), std::vector<std::string>{record(6)});
  EXPECT_EQ(text(), "");
}

// Somebody takes connections there and speaks the protocol.
bool answers(const std::string& address) {
  try {
    return WireClient(address).ask(negotiation()).command == 'O';
  } catch (const std::exception&) {
    return false;
  }
}

TEST_F(TroublesTest, AMilterSocketThatIsRemovedIsBoundAgain) {
  const std::string at = "unix:" + file("milter");
  const auto policy = policy_from("[milter]\nlisten = \"" + at + "\"\n");
  MemoryStore store;
  Gate gate(store);
  References references{1};
  Records records;
  const Clock clock;
  Traffic traffic;
  DecisionTimes times;
  const auto door =
      open_asio_door({policy, gate, records, references, clock, traffic, times, nullptr, nullptr, nullptr, &troubles_})
          .value();
  door->start([](bool) {});
  WireClient before(at);
  EXPECT_EQ(before.ask(negotiation(6, 0x1ff, 0)).command, 'O');
  std::filesystem::remove(file("milter"));
  EXPECT_TRUE(eventually([&] { return answers(at); }));
  EXPECT_EQ(before.ask(connect_packet("192.0.2.1")).text(), "c");  // who was there goes on
  std::filesystem::remove(file("milter"));
  std::filesystem::create_directory(file("milter"));
  EXPECT_TRUE(eventually([&] { return text().starts_with(file("milter") + " was removed, and nobody gets to it: "); }))
      << text();
  std::filesystem::remove(file("milter"));
  EXPECT_TRUE(becomes(""));
  EXPECT_EQ(WireClient(at).ask(negotiation()).command, 'O');
  EXPECT_TRUE(door->stop());
  EXPECT_FALSE(std::filesystem::exists(file("milter")));
}

TEST_F(TroublesTest, ASocketThatWasHandedOverIsNotOurs) {
  const int passed = listen_unix(file("s"));
  SocketName name({.family = SocketAddress::Family::descriptor, .descriptor = passed});
  boost::asio::io_context io;
  EXPECT_FALSE(name.restore(io).value());
  std::filesystem::remove(file("s"));
  EXPECT_TRUE(name.lost());
  EXPECT_NE(name.restore(io).error().find("systemctl restart replygate.socket"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(file("s")));
  ::close(passed);
}

// It serves, but a restart would not find it.
TEST_F(TroublesTest, AReloadSaysThatThePolicyCannotBeKept) {
  Office office(kRule);
  const std::string beside = office.folder.file("last-good-policy.json.new");
  std::filesystem::create_directory(beside);
  const auto outcome = office.keeper.reload();
  EXPECT_TRUE(outcome.taken);
  const std::string why =
      fmt::format("the policy serves, and cannot be kept for a restart with an invalid one: {}: Is a directory",
                  office.folder.file("last-good-policy.json"));
  EXPECT_NE(outcome.message.find("warning: " + why), std::string::npos) << outcome.message;
  EXPECT_EQ(trouble_of(*office.desk), why);
  EXPECT_EQ(why_not_ready(*office.desk), "");
  std::filesystem::remove(beside);
  office.keeper.start();  // tries again by itself
  EXPECT_TRUE(eventually([&] { return trouble_of(*office.desk).empty(); })) << trouble_of(*office.desk);
  office.keeper.stop();
}

TEST_F(TroublesTest, AStartWithNonsenseSaysWhereItHasLooked) {
  Office office(kRule);
  const Folder elsewhere;
  office.write_policy("nonsense");
  PolicyKeeper keeper(office.keeper.file(), elsewhere.path().string(), office.clock, troubles_);
  EXPECT_FALSE(keeper.load_first());
  const std::string said = testing::internal::GetCapturedStderr();
  testing::internal::CaptureStderr();
  EXPECT_NE(said.find(fmt::format("there is no last good one of it in {}; one that had its counters elsewhere is kept "
                                  "beside them",
                                  elsewhere.path().string())),
            std::string::npos)
      << said;
}

TEST_F(TroublesTest, StatusMetricsAndReadinessTell) {
  Office office(kRule);
  office.troubles.tell("mailbox", {"gone"}, std::chrono::steady_clock::now() - seconds(90));
  EXPECT_EQ(trouble_of(*office.desk), "gone");
  EXPECT_EQ(why_not_ready(*office.desk), "");
  const auto status = report_status(*office.desk);
  const auto& one = array_at(status, "troubles").at(0).as_object();
  EXPECT_EQ(text_at(one, "of"), "mailbox");
  EXPECT_EQ(text_at(one, "what"), "gone");
  EXPECT_GE(number_at(one, "lasts_s"), 90);
  EXPECT_NE(metrics_text(*office.desk).find("replygate_troubles{of=\"mailbox\"} 1\n"), std::string::npos);
  office.troubles.tell("milter unix:/x", {"/x was removed"});
  EXPECT_EQ(why_not_ready(*office.desk), "/x was removed");
  office.troubles.tell("mailbox", {});
  EXPECT_NE(metrics_text(*office.desk).find("replygate_troubles{of=\"mailbox\"} 0\n"), std::string::npos);
}

}  // namespace
}  // namespace replygate::test

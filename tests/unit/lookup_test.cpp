// Databases, lists that change, and how full mailboxes are.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "milter/current_policy.h"
#include "milter/files.h"
#include "milter/lookup/list_watch.h"
#include "milter/lookup/mailboxes.h"
#include "milter/lookup/quota_status.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

namespace fs = std::filesystem;

class LookupTest : public ::testing::Test, protected Folder {
 protected:
  mutable Troubles troubles_;

  void sql(std::string_view name, const std::string& statements) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file(name).c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, statements.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
};

using Databases = LookupTest;

TEST_F(Databases, RowsOfAQuery) {
  sql("a.db",
      "create table t(a text, b text); insert into t values('x@y.example', '5 messages / 1h'), ('two\nlines', null);");
  std::string why;
  const auto rows = read_source({DataSource::Kind::sqlite, file("a.db"), "select a, b from t order by a desc"}, why);
  EXPECT_EQ(rows, "x@y.example\t5 messages / 1h\ntwo lines\t\n");
  EXPECT_FALSE(read_source({DataSource::Kind::sqlite, file("a.db"), "select missing from t"}, why));
  EXPECT_EQ(why, "no such column: missing");
  EXPECT_FALSE(read_source({DataSource::Kind::sqlite, file("a.db"), "delete from t"}, why));
  EXPECT_EQ(why, "the query must only read");
  EXPECT_FALSE(read_source({DataSource::Kind::sqlite, file("none.db"), "select 1"}, why));
  EXPECT_FALSE(read_source({DataSource::Kind::sqlite, file("a.db"), ""}, why));
}

TEST_F(Databases, BrokenMaps) {
  write("not.cdb", "no database");
  std::string why;
  EXPECT_FALSE(read_source({DataSource::Kind::cdb, file("not.cdb"), ""}, why));
  EXPECT_FALSE(why.empty());
  EXPECT_FALSE(read_source({DataSource::Kind::cdb, file("none.cdb"), ""}, why));
  EXPECT_EQ(why, "No such file or directory");
  EXPECT_FALSE(read_source({DataSource::Kind::lmdb, file("not.cdb"), ""}, why));
  EXPECT_FALSE(read_source({DataSource::Kind::lmdb, file("none.lmdb"), ""}, why));
  EXPECT_FALSE(why.empty());
}

TEST_F(Databases, FilesOfAPattern) {
  for (const std::string_view name : {"b.toml", "a.toml", "c.txt"}) write(name, "");
  std::string why;
  EXPECT_EQ(read_source({DataSource::Kind::glob, file("*.toml"), ""}, why),
            fmt::format("{}\n{}\n", file("a.toml"), file("b.toml")));
  EXPECT_EQ(read_source({DataSource::Kind::glob, file("*.none"), ""}, why), "");
}

// True where the policy was exchanged.
bool look(ListWatch& watch, CurrentPolicy& current) {
  auto policy = watch.look();
  if (policy != nullptr) current.set(policy);
  return policy != nullptr;
}

class Watch : public LookupTest {
 protected:
  static std::string sender_of(const Policy& policy, std::string_view sender) {
    World world("");
    world.policy = std::shared_ptr<const Policy>(std::shared_ptr<const Policy>(), &policy);
    Talk talk(world);
    talk.connect("192.0.2.1");
    return talk.mail(fmt::format("<{}>", sender)).substr(0, 3);
  }
};

TEST_F(Watch, AChangedListIsTakenAsAWhole) {
  write("p.toml",
        "version = 1\n[lists]\nblocked = { file = \"blocked\" }\n[[rule]]\nname = \"r\"\nwhen = { sender = "
        "\"$blocked\" }\nreply = 554\n"
        "[[test]]\nname = \"ours are never blocked\"\ngiven = { from = \"boss@ours.example\" }\nrcpt = "
        "\"a@b.example\"\nexpect = { code = 250 }\n");
  write("blocked", "a@bad.example\n");
  ListWatch watch(file("p.toml"));
  const Loaded loaded = watch.load();
  ASSERT_TRUE(loaded.ok());
  CurrentPolicy current(loaded.policy);
  EXPECT_FALSE(look(watch, current));

  write("blocked", "b@bad.example\n");
  EXPECT_TRUE(look(watch, current));
  EXPECT_EQ(sender_of(*current.get(), "a@bad.example"), "");
  EXPECT_EQ(sender_of(*current.get(), "b@bad.example"), "554");
  EXPECT_EQ(sender_of(*loaded.policy, "a@bad.example"), "554");  // who has begun goes on with the old one

  fs::remove(file("blocked"));
  EXPECT_FALSE(look(watch, current));
  EXPECT_EQ(sender_of(*current.get(), "b@bad.example"), "554");
  write("blocked", "c@bad.example\nd d d@\x01\n@\n");
  EXPECT_FALSE(look(watch, current));  // nothing of a list that is wrong
  EXPECT_EQ(sender_of(*current.get(), "c@bad.example"), "");
  write("blocked", "@ours.example\n");
  EXPECT_FALSE(look(watch, current));  // the policy's own test fails
  EXPECT_EQ(sender_of(*current.get(), "boss@ours.example"), "");
  write("blocked", "e@bad.example\n");
  EXPECT_TRUE(look(watch, current));
  EXPECT_EQ(sender_of(*current.get(), "e@bad.example"), "554");
}

// Byte-order marks, comments and quotes, in every kind of file.
TEST_F(Watch, EntriesOfFilesAreReadAsTheyAreMeant) {
  const auto blocks = [&](std::string_view list, std::string_view sender) {
    write("p.toml", fmt::format("version = 1\n[lists]\nb = {}\n[[rule]]\nname = \"r\"\nwhen = {{ sender = \"$b\" }}\n"
                                "reply = 554\n",
                                list));
    const Loaded loaded = ListWatch(file("p.toml")).load();
    EXPECT_TRUE(loaded.ok()) << list;
    return loaded.ok() && sender_of(*loaded.policy, sender) == "554";
  };
  write("b",
        "\xef\xbb\xbf"
        "first@bad.example # why\r\n/a#b/\ntag#1@bad.example\n# no@bad.example\n");
  EXPECT_TRUE(blocks("{ file = \"b\" }", "first@bad.example"));
  EXPECT_TRUE(blocks("{ file = \"b\" }", "xa#bx@ok.example"));
  EXPECT_TRUE(blocks("{ file = \"b\" }", "tag#1@bad.example"));
  EXPECT_FALSE(blocks("{ file = \"b\" }", "no@bad.example"));
  write("m",
        "\xef\xbb\xbf"
        "first@bad.example REJECT # why\n# no@bad.example x\ntag#1@bad.example x\n  x@bad.example y\n");
  EXPECT_TRUE(blocks("\"texthash:m\"", "first@bad.example"));
  EXPECT_TRUE(blocks("\"texthash:m\"", "tag#1@bad.example"));
  EXPECT_FALSE(blocks("\"texthash:m\"", "no@bad.example"));
  EXPECT_FALSE(blocks("\"texthash:m\"", "x@bad.example"));
}

TEST_F(Watch, AnOverrideFileKeepsItsFirstKey) {
  write("o",
        "\xef\xbb\xbf"
        "J\xc3\x9cRGEN@m\xc3\xbcnchen.example 3 recipients / 1h # why\n");
  write("p.toml",
        "version = 1\n[[rule]]\nname = \"r\"\nper = \"sender\"\nlimit = \"1 recipients / 1h\"\nreply = 452\n"
        "override = { file = \"o\" }\n");
  const Loaded loaded = ListWatch(file("p.toml")).load();
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded.policy->rules().front().overrides.exact.contains("j\xc3\xbcrgen@xn--mnchen-3ya.example"));
}

TEST_F(Watch, ThePolicyItselfIsNotReadAgain) {
  write(
      "p.toml",
      "version = 1\n[lists]\nb = { file = \"b\" }\n[[rule]]\nname = \"r\"\nwhen = { sender = \"$b\" }\nreply = 554\n");
  write("b", "a@bad.example\n");
  ListWatch watch(file("p.toml"));
  CurrentPolicy current(watch.load().policy);
  write("p.toml", "half of a pol");
  write("b", "b@bad.example\n");
  EXPECT_TRUE(look(watch, current));
  EXPECT_EQ(sender_of(*current.get(), "b@bad.example"), "554");
}

TEST_F(Watch, OverridesFromFilesAndDatabases) {
  sql("q.db", "create table q(login, limits); insert into q values('bob', '2 recipients / 1h'), ('eve', 'unlimited');");
  write("p.toml",
        fmt::format("version = 1\n[[rule]]\nname = \"r\"\nper = \"user\"\nlimit = \"1 recipients / 1h\"\nreply = 452\n"
                    "override = {{ sqlite = \"{}\", query = \"select login, limits from q\" }}\n",
                    file("q.db")));
  ListWatch watch(file("p.toml"));
  const Loaded loaded = watch.load();
  ASSERT_TRUE(loaded.ok());
  CurrentPolicy current(loaded.policy);
  const auto kept = [&](std::string user) {
    World world("");
    world.policy = current.get();
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.mail("<a@b.example>", std::move(user));
    int count = 0;
    while (count < 5 && talk.rcpt("<c@d.example>").empty()) ++count;
    return count;
  };
  EXPECT_EQ(kept("alice"), 1);
  EXPECT_EQ(kept("bob"), 2);
  EXPECT_EQ(kept("eve"), 5);
  sql("q.db", "update q set limits = '3 recipients / 1h' where login = 'bob'");
  EXPECT_TRUE(look(watch, current));
  EXPECT_EQ(kept("bob"), 3);
}

MailboxUse use_of(Mailboxes& mailboxes, std::string_view address, std::int64_t size = 0) {
  std::promise<MailboxUse> told;
  mailboxes.used(canonical_address(address, {.default_domain = "x", .is_local = [](auto) { return false; }}), size,
                 [&](MailboxUse use) { told.set_value(use); });
  return soon(told);
}

constexpr std::int64_t kNoMailbox = -1;
constexpr std::int64_t kUntold = -2;

std::int64_t ask(Mailboxes& mailboxes, std::string_view address, std::int64_t size = 0) {
  const MailboxUse use = use_of(mailboxes, address, size);
  if (use.state == MailboxUse::State::used) return use.percent;
  return use.state == MailboxUse::State::none ? kNoMailbox : kUntold;
}

TEST(MailboxLines, UserUsedLimit) {
  EXPECT_EQ(parse_mailbox_line("Bob@X.example 50 MB"), std::nullopt);
  EXPECT_EQ(parse_mailbox_line("Bob@X.example 50MB\t100MB # full soon"),
            (std::pair<std::string, std::int64_t>("bob@x.example", 50)));
  EXPECT_EQ(parse_mailbox_line("b@x 999 1000")->second, 99);
  EXPECT_EQ(parse_mailbox_line("b@x 5 0")->second, 0);
  EXPECT_EQ(parse_mailbox_line("b@x 2000 1000")->second, 200);
  EXPECT_EQ(parse_mailbox_line("# comment"), std::nullopt);
  EXPECT_EQ(percent_of(std::int64_t{1} << 60, std::int64_t{1} << 61), 50);
}

using MailboxSources = LookupTest;

TEST_F(MailboxSources, AFile) {
  write("quotas",
        "\xef\xbb\xbf"
        "bob@x.example 100MB 100MB\nalice@x.example 1MB 100MB\nJ\xc3\x9cRGEN@X.example 2MB 100MB\n");
  auto mailboxes =
      open_mailboxes({.source = DataSource{DataSource::Kind::file, file("quotas"), ""}}, troubles_).value();
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), 100);
  EXPECT_EQ(ask(*mailboxes, "alice@x.example"), 1);
  EXPECT_EQ(ask(*mailboxes, "j\xc3\xbcrgen@x.example"), 2);
  EXPECT_EQ(ask(*mailboxes, "eve@x.example"), kNoMailbox);
  write("quotas", "bob@x.example 1MB 100MB\n");
  EXPECT_TRUE(eventually([&] { return ask(*mailboxes, "bob@x.example") == 1; }));
  EXPECT_FALSE(open_mailboxes({.source = DataSource{DataSource::Kind::file, file("none"), ""}}, troubles_));
  EXPECT_EQ(open_mailboxes({}, troubles_).value(), nullptr);
}

TEST_F(MailboxSources, AQueryForEachRecipient) {
  sql("m.db",
      "create table m(address, used, quota); insert into m values('bob@x.example', 50, 200), ('full@x.example', 9, "
      "9);");
  const auto open = [&](std::string query) {
    return open_mailboxes({.source = DataSource{DataSource::Kind::sqlite, file("m.db"), std::move(query)}}, troubles_);
  };
  auto mailboxes = open("select used, quota from m where address = ?").value();
  EXPECT_EQ(ask(*mailboxes, "BOB@x.example"), 25);
  EXPECT_EQ(ask(*waiting(open("select used, quota from m where address = ?").value()), "bob@x.example"), 25);
  EXPECT_EQ(ask(*mailboxes, "full@x.example"), 100);
  EXPECT_EQ(ask(*mailboxes, "eve@x.example"), kNoMailbox);
  sql("m.db", "update m set used = 100 where address = 'bob@x.example'");
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), 50);
  for (const std::string query : {"select used, quota from m", "select used from m where address = ?",
                                  "select x from y", "update m set used = ? returning used, quota"}) {
    EXPECT_FALSE(open(query)) << query;
  }
}

TEST_F(MailboxSources, AQueryThatTakesTooLongCannotTell) {
  sql("m.db", "create table m(address, used, quota)");
  auto mailboxes =
      open_mailboxes(
          {.source =
               DataSource{
                   DataSource::Kind::sqlite, file("m.db"),
                   "with recursive n(i, a) as (select 1, ? union all select i + 1, a from n) select max(i), 1 from n"},
           .timeout = std::chrono::milliseconds(50)},
          troubles_)
          .value();
  EXPECT_EQ(ask(*mailboxes, "bob@x.example"), kUntold);
}

TEST(QuotaStatus, WhatAnswersMean) {
  EXPECT_EQ(parse_quota_answer("action=DUNNO\n\n"), MailboxUse::of(0));
  EXPECT_EQ(parse_quota_answer("action=OK\n\n"), MailboxUse::of(0));
  EXPECT_EQ(parse_quota_answer("action=552 5.2.2 Mailbox is full\n\n"), MailboxUse::of(100));
  EXPECT_EQ(parse_quota_answer("action=DEFER_IF_PERMIT 4.2.2 <bob> Quota exceeded\n\n"), MailboxUse::of(100));
  EXPECT_EQ(parse_quota_answer("action=REJECT Unknown user\n\n"), MailboxUse::none());
  EXPECT_EQ(parse_quota_answer("action=550 5.1.1 No such user\n\n"), MailboxUse::none());
  EXPECT_EQ(parse_quota_answer("action=\n\n"), std::nullopt);
  EXPECT_EQ(parse_quota_answer("action=DEFER_IF_PERMIT internal error\n\n"), MailboxUse());
  EXPECT_EQ(parse_quota_answer("action=451 4.3.0 later\n\n"), MailboxUse());
  EXPECT_EQ(parse_quota_answer("nonsense\n\n"), std::nullopt);
}

// A service that answers as the recipient's name says, or never.
class Service {
 public:
  explicit Service(const std::string& path) : listener_(listen_unix(path)), thread_([this] { serve(); }) {}
  ~Service() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  int connections = 0;

 private:
  void serve() {
    std::vector<std::thread> threads;
    for (;;) {
      const int peer = ::accept(listener_, nullptr, nullptr);
      if (peer < 0) break;
      ++connections;
      threads.emplace_back([peer] {
        std::string in;
        char chunk[1024];
        for (ssize_t n = 0; (n = ::read(peer, chunk, sizeof chunk)) > 0;) {
          in.append(chunk, static_cast<std::size_t>(n));
          if (!in.ends_with("\n\n")) continue;
          const std::string answer =
              in.find("recipient=full@") != std::string::npos     ? "action=552 5.2.2 Mailbox is full\n\n"
              : in.find("recipient=nobody@") != std::string::npos ? "action=REJECT Unknown user\n\n"
              : in.find("recipient=silent@") != std::string::npos ? ""
              : in.find("size=5000") != std::string::npos         ? "action=552 5.2.2 too big\n\n"
                                                                  : "action=OK\n\n";
          in.clear();
          if (::write(peer, answer.data(), answer.size()) < 0) break;
        }
        ::close(peer);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  int listener_;
  std::thread thread_;
};

TEST_F(MailboxSources, DovecotsService) {
  Service service(file("quota.sock"));
  {
    auto mailboxes =
        open_mailboxes({.quota_status = "unix:" + file("quota.sock"), .timeout = std::chrono::seconds(20)}, troubles_)
            .value();
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(ask(*mailboxes, "bob@x.example"), 0);
      EXPECT_EQ(ask(*mailboxes, "full@x.example"), 100);
      EXPECT_EQ(ask(*mailboxes, "nobody@x.example"), kNoMailbox);
    }
    EXPECT_EQ(ask(*mailboxes, "bob@x.example", 5000), 100);
  }
  EXPECT_EQ(service.connections, 1);  // kept and used again
}

TEST_F(MailboxSources, AServiceThatIsSilentOrAbsentCannotTell) {
  Service service(file("quota.sock"));
  auto slow = open_mailboxes({.quota_status = "unix:" + file("quota.sock"), .timeout = std::chrono::milliseconds(50)},
                             troubles_)
                  .value();
  EXPECT_EQ(ask(*slow, "silent@x.example"), kUntold);
  auto absent =
      open_mailboxes({.quota_status = "unix:" + file("none.sock"), .timeout = std::chrono::seconds(20)}, troubles_)
          .value();
  EXPECT_EQ(ask(*absent, "bob@x.example"), kUntold);
}

}  // namespace
}  // namespace replygate::test

// Counters on disk: across restarts, clocks, damage, and files that cannot be written.

#include "milter/store/sqlite_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include <future>
#include <thread>

#include "milter/store/open_store.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Durability = StoreSettings::Durability;

class SqliteStoreTest : public ::testing::Test, protected Folder {
 protected:
  SqliteStoreTest() { start(); }
  ~SqliteStoreTest() override { store_.reset(); }

  void start() {
    clock_.restart();
    auto opened = SqliteStore::open(settings_, clock_, health_);
    ASSERT_TRUE(opened) << opened.error();
    store_ = *std::move(opened);
  }
  void restart() {
    store_.reset();
    start();
  }

  static Charge charge(std::string counter, std::int64_t cost = 1) {
    return {.counter = std::move(counter), .measure = Sliding{hours(1)}, .most = 100, .cost = cost, .reserve = false};
  }
  void count(std::vector<Charge> charges) {
    std::promise<void> done;
    store_->take(std::move(charges), true, clock_.now(), [&](const Readings&) { done.set_value(); });
    soon(done);
  }
  std::int64_t used(const std::string& counter) {
    std::int64_t used = -1;
    store_->take({charge(counter, 0)}, false, clock_.now(), [&](const Readings& r) { used = r.readings[0]->used; });
    return used;
  }
  std::vector<std::string> files_like(std::string_view part) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      if (entry.path().filename().string().find(part) != std::string::npos) names.push_back(entry.path().string());
    }
    return names;
  }
  void sql(const std::string& statements) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file("state.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, statements.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  StoreSettings settings_{.path = file("state.db")};
  HandClock clock_;
  StoreHealth health_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(SqliteStoreTest, CountersOutliveARestart) {
  for (int i = 0; i < 200; ++i) count({charge(fmt::format("k{}", i), i % 7 + 1)});
  restart();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(used(fmt::format("k{}", i)), i % 7 + 1);
  clock_.pass(minutes(30));
  count({charge("k3", 2)});
  restart();
  EXPECT_EQ(used("k3"), 6);
  clock_.pass(minutes(31));
  EXPECT_EQ(used("k3"), 2);
  restart();
  EXPECT_EQ(used("k3"), 2);
  EXPECT_EQ(used("k4"), 0);
  EXPECT_EQ(store_->memory().counters(), 1U);
}

// With `commit` an answer is on disk: another process that looks finds it, whenever it looks.
TEST_F(SqliteStoreTest, CommitAnswersOnceItIsOnDisk) {
  settings_.durability = Durability::commit;
  restart();
  for (int i = 1; i <= 20; ++i) {
    count({charge("a")});
    std::filesystem::create_directory(file("copy"));
    for (const char* part : {"state.db", "state.db-wal"}) {
      std::filesystem::copy_file(file(part), file(fmt::format("copy/{}", part)),
                                 std::filesystem::copy_options::overwrite_existing);
    }
    HandClock clock;
    StoreHealth health;
    auto copy = SqliteStore::open({.path = file("copy/state.db")}, clock, health).value();
    copy->take({charge("a", 0)}, false, clock.now(), [&](const Readings& r) { EXPECT_EQ(r.readings[0]->used, i); });
    copy.reset();
    std::filesystem::remove_all(file("copy"));
  }
}

TEST_F(SqliteStoreTest, WhatIsReservedIsReturnedByARestart) {
  Charge one = charge("a", 5);
  one.reserve = true;
  count({one});
  count({charge("a", 2)});
  EXPECT_EQ(used("a"), 7);
  restart();
  EXPECT_EQ(used("a"), 2);
}

// The wall clock steps while the daemon runs, and between two runs: what was counted leaves an hour later, whatever it
// shows, and no key is blocked for more than a period.
TEST_F(SqliteStoreTest, StepsOfTheClock) {
  for (const Duration step : {Duration(hours(1)), -Duration(hours(1)), -Duration(seconds(10)), -Duration(hours(400000)),
                              Duration(hours(200000)), Duration(seconds(1))}) {
    const std::string name = std::to_string(step.count());
    count({charge(name)});
    clock_.pass(minutes(10));
    clock_.step(step);
    EXPECT_EQ(used(name), 1);
    count({charge(name)});
    restart();  // the state was written by the new clock, and is read by it
    EXPECT_EQ(used(name), 2) << name;
    clock_.pass(minutes(49));
    EXPECT_EQ(used(name), 2) << name;
    clock_.pass(minutes(3));
    EXPECT_EQ(used(name), 1) << name;
    clock_.pass(minutes(10));
    EXPECT_EQ(used(name), 0) << name;
  }
  // A step while nobody runs.
  count({charge("z")});
  store_.reset();
  clock_.step(-Duration(hours(10)));
  start();
  EXPECT_EQ(used("z"), 1);
  clock_.pass(minutes(61));
  EXPECT_EQ(used("z"), 0);
}

TEST_F(SqliteStoreTest, TheFileIsPrivate) {
  count({charge("a")});
  for (const char* name : {"state.db", "state.db-wal", "state.db.lock"}) {
    EXPECT_EQ(std::filesystem::status(file(name)).permissions(), std::filesystem::perms(0600)) << name;
  }
}

TEST_F(SqliteStoreTest, TwoDaemonsDoNotShareAFile) {
  const auto second = SqliteStore::open(settings_, clock_, health_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), fmt::format("{}: another replygate keeps its counters there", file("state.db")));
}

TEST_F(SqliteStoreTest, ADamagedCounterIsLeftOutAndTheFileKept) {
  for (int i = 0; i < 50; ++i) count({charge(fmt::format("k{}", i), 5)});
  store_.reset();
  sql("UPDATE counters SET state = x'0200' WHERE key = (SELECT min(key) FROM counters)");
  start();
  long sound = 0;
  for (int i = 0; i < 50; ++i) sound += used(fmt::format("k{}", i)) == 5 ? 1 : 0;
  EXPECT_EQ(sound, 49);
  EXPECT_EQ(files_like("state.db.unusable-").size(), 1U);
  restart();
  for (int i = 0; i < 50; ++i) sound += used(fmt::format("k{}", i)) == 5 ? 1 : 0;
  EXPECT_EQ(sound, 98);
  EXPECT_EQ(files_like("state.db.unusable-").size(), 1U);
}

TEST_F(SqliteStoreTest, ACounterThatIsGoneIsNoticed) {
  for (int i = 0; i < 50; ++i) count({charge(fmt::format("k{}", i), 5)});
  store_.reset();
  sql("DROP TRIGGER counter_removed; DELETE FROM counters WHERE key = (SELECT min(key) FROM counters);"
      "CREATE TRIGGER counter_removed AFTER DELETE ON counters BEGIN\n"
      "  UPDATE totals SET counters = counters - 1, sum = sum - old.checksum;\nEND");
  ::testing::internal::CaptureStderr();
  start();
  EXPECT_NE(
      ::testing::internal::GetCapturedStderr().find("0 counters are damaged, 1 or more are missing; 49 are sound"),
      std::string::npos);
}

TEST_F(SqliteStoreTest, TheTotalsFollowWhatIsAddedChangedAndRemoved) {
  settings_.durability = Durability::commit;
  restart();
  for (int round = 0; round < 3; ++round) {
    for (int i = round; i < 20 + round; ++i) count({charge(fmt::format("k{}", i))});
    store_->forget({fmt::format("k{}", round), fmt::format("k{}", 100 + round)}, clock_.now(), [](bool) {});
  }
  store_.reset();
  sql("CREATE TEMP TABLE sound (yes INTEGER CHECK (yes)); INSERT INTO sound SELECT t.counters = count(*) AND t.sum ="
      " sum(c.checksum) AND count(*) = 19 FROM totals t, counters c");
  start();
  EXPECT_EQ(used("k5"), 3);
  EXPECT_TRUE(files_like("state.db.unusable-").empty());
}

TEST_F(SqliteStoreTest, WhatIsNoStateIsSetAside) {
  store_.reset();
  const std::vector<std::function<void()>> ways = {
      [&] { write("state.db", "this is a letter to the editor"); },
      [&] { write("state.db", std::string(100'000, '\x55')); },
      [&] {
        std::filesystem::remove(file("state.db"));
        sql("CREATE TABLE letters (body TEXT)");
      },
      [&] { sql("PRAGMA user_version = 99"); },
      [&] { sql("DROP TRIGGER counter_added"); },
      [&] { sql("UPDATE meta SET value = zeroblob(16)"); },
      [&] { std::filesystem::resize_file(file("state.db"), 5000); },
  };
  std::size_t aside = 0;
  for (const auto& spoil : ways) {
    spoil();
    start();
    EXPECT_EQ(files_like("state.db.unusable-").size(), ++aside);
    count({charge("a", 3)});
    restart();
    EXPECT_EQ(used("a"), 3);
    store_.reset();
  }
}

TEST_F(SqliteStoreTest, AMissingLogIsNoticed) {
  count({charge("a")});
  ASSERT_TRUE(eventually([&] { return std::filesystem::file_size(file("state.db-wal")) > 0; }));
  std::filesystem::create_directory(file("crash"));
  std::filesystem::copy_file(file("state.db"), file("crash/state.db"));  // as a crash leaves it, without its log
  ::testing::internal::CaptureStderr();
  const auto copy = SqliteStore::open({.path = file("crash/state.db")}, clock_, health_);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("its write-ahead log is gone"), std::string::npos);
  EXPECT_TRUE(copy);
}

TEST_F(SqliteStoreTest, AFileThatIsRemovedIsWrittenAnew) {
  count({charge("a", 4)});
  std::filesystem::remove(file("state.db"));
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file("state.db")); }));
  ASSERT_TRUE(eventually([&] { return health_.good(); }));
  restart();
  EXPECT_EQ(used("a"), 4);
}

// Another program holds the file: decisions go on, and what they count is written once it lets go.
TEST_F(SqliteStoreTest, ALockedFile) {
  settings_.durability = Durability::commit;
  restart();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file("state.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  for (int i = 0; i < 50; ++i) count({charge("a")});
  EXPECT_EQ(used("a"), 50);
  EXPECT_FALSE(health_.good());
  EXPECT_NE(health_.state().trouble.find("database is locked"), std::string::npos);
  sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  ASSERT_TRUE(eventually([&] { return health_.good(); }));
  restart();
  EXPECT_EQ(used("a"), 50);
}

TEST_F(SqliteStoreTest, AFolderThatIsMissing) {
  const StoreSettings settings{.path = file("nowhere/state.db")};
  StoreHealth health;
  const auto opened = open_store(settings, clock_, health);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("No such file or directory; fix it, name another path"), std::string::npos);
  StoreSettings lenient = settings;
  lenient.if_unusable = StoreSettings::Unusable::memory;
  EXPECT_TRUE(open_store(lenient, clock_, health));
  EXPECT_FALSE(health.good());
}

TEST_F(SqliteStoreTest, FilesThatWereSetAsideDoNotFillTheDisk) {
  for (int i = 0; i < 13; ++i) {
    store_.reset();
    write("state.db", "no database at all, but long enough to be looked at as if it were one");
    testing::internal::CaptureStderr();
    start();
    testing::internal::GetCapturedStderr();
  }
  EXPECT_EQ(files_like("state.db.unusable-").size(), 10U);
}

}  // namespace
}  // namespace replygate::test

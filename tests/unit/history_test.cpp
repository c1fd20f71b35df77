#include "milter/log/history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sodium.h>
#include <sqlite3.h>

#include <cstring>
#include <filesystem>
#include <unordered_map>

#include "tests/support/eventually.h"
#include "tests/support/folder.h"

namespace replygate {
namespace {

using test::eventually;
using test::Folder;
using Lines = std::vector<std::string>;

constexpr Instant kTime{std::chrono::hours(490000)};

std::string record_of(std::string_view sender, int number, std::size_t octets = 0) {
  return fmt::format(R"({{"sender":"{}","client_ip":"192.0.2.1","n":{},"x":"{}"}})", sender, number,
                     std::string(octets, 'x'));
}

class HistoryFiles : public ::testing::Test {
 protected:
  void open(const HistorySettings& settings = {}) { history_ = History::open(path_, settings, troubles_).value(); }
  void keep(std::string_view sender, int number, std::size_t octets = 0) {
    const std::string_view words[] = {sender, "192.0.2.1"};
    history_->keep(kTime, words, record_of(sender, number, octets) + '\n');
  }
  void written(std::int64_t records) {
    ASSERT_TRUE(eventually([&] { return history_->written() == records; }));
  }
  // Into a file of the history, by SQLite itself.
  void execute(std::string_view name, const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((path_ + '/' + std::string(name)).c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::string text_from(std::string_view name, const std::string& sql) const {
    std::string why;
    const auto db = sqlite::open(path_ + '/' + std::string(name), why);
    const auto query = sqlite::prepare(db.get(), sql, why);
    return query && sqlite3_step(query.get()) == SQLITE_ROW ? sqlite::column(query.get(), 0) : why;
  }
  bool exists(std::string_view name) const { return std::filesystem::exists(path_ + '/' + std::string(name)); }

  Folder folder_;
  const std::string path_ = folder_.file("h");
  Troubles troubles_;
  std::unique_ptr<History> history_;
};

TEST_F(HistoryFiles, NewestFirstOverBlocksAndFiles) {
  open({.records = 16'000});
  constexpr int kRecords = 4'500;  // some 40 blocks in five files, and what is no block yet
  for (int i = 0; i < kRecords; ++i) {
    keep(i % 100 == 0 ? "rare@b.example" : "often@b.example", i, 2'000);
    if (i % 250 == 0) written(i + 1);
  }
  history_->close();
  EXPECT_TRUE(exists("00000004.db"));
  const Lines rare = history_->find("rare@b.example", 1000);
  ASSERT_EQ(rare.size(), 45U);
  for (int i = 0; i < 45; ++i)
    EXPECT_EQ(rare[static_cast<std::size_t>(i)], record_of("rare@b.example", 4400 - i * 100, 2000));
  const Lines often = history_->find("192.0.2.1", 5000);
  ASSERT_EQ(often.size(), 4500U);
  EXPECT_EQ(often.front(), record_of("often@b.example", kRecords - 1, 2000));
  EXPECT_EQ(often.back(), record_of("rare@b.example", 0, 2000));
  EXPECT_EQ(history_->find("192.0.2.1", 20), Lines(often.begin(), often.begin() + 20));
  EXPECT_TRUE(history_->find("nobody@b.example", 20).empty());
  EXPECT_TRUE(history_->find("", 20).empty());
}

TEST_F(HistoryFiles, ARecordIsFoundAtOnceAndOutlivesAKill) {
  open();
  for (int i = 1; i <= 5; ++i) {
    keep("alice@b.example", i);
    ASSERT_TRUE(
        eventually([&] { return history_->find("alice@b.example", 10).size() == static_cast<std::size_t>(i); }));
  }
  // As it is on disk when the daemon ends without a word.
  std::filesystem::copy(path_, folder_.file("killed"));
  const auto killed = History::open(folder_.file("killed"), {}, troubles_).value();
  constexpr std::string_view kWords[] = {"alice@b.example"};
  killed->keep(kTime, kWords, record_of("alice@b.example", 6) + '\n');
  killed->close();
  const Lines found = killed->find("alice@b.example", 10);
  ASSERT_EQ(found.size(), 6U);
  EXPECT_EQ(found.front(), record_of("alice@b.example", 6));
}

// What is no block yet when the daemon ends is one with what comes then.
TEST_F(HistoryFiles, ABlockIsMadeOverARestart) {
  for (int i = 0; i < 6; ++i) {
    open();
    keep(fmt::format("s{}@b.example", i), i, 100'000);
    history_->close();
  }
  EXPECT_EQ(text_from("00000001.db", "SELECT count(*) FROM block"), "2");
  EXPECT_EQ(text_from("00000001.db", "SELECT count(*) FROM tail"), "0");
  for (int i = 0; i < 6; ++i) EXPECT_EQ(history_->find(fmt::format("S{}@b.example", i), 9).size(), 1U);
  EXPECT_EQ(history_->find("192.0.2.1", 9).size(), 6U);
}

TEST_F(HistoryFiles, ManyRunsBecomeFew) {
  std::filesystem::create_directory(path_);
  const auto segment = HistorySegment::open(path_ + "/00000001.db").value();
  constexpr int kBlocks = 300;
  for (int i = 0; i < kBlocks; ++i) {
    std::vector<HistoryBlock> blocks(1);
    blocks[0].text = record_of(fmt::format("s{}@b.example", i), i, HistoryBlock::kFull) + '\n';
    blocks[0].records = 1;
    append_word(blocks[0].words, fmt::format("s{}@b.example", i));
    append_word(blocks[0].words, "192.0.2.1");
    ASSERT_TRUE(segment->add(blocks));
    ASSERT_TRUE(segment->tidy());
  }
  const auto all_found = [&] {
    open();
    for (int i = 0; i < kBlocks; ++i) EXPECT_EQ(history_->find(fmt::format("s{}@b.example", i), 9).size(), 1U) << i;
    EXPECT_EQ(history_->find("192.0.2.1", 1000).size(), std::size_t{kBlocks});
  };
  EXPECT_EQ(text_from("00000001.db", "SELECT count(*) FROM run"), "15");  // of 256, 16 and 1 blocks
  all_found();
  ASSERT_TRUE(segment->finish());
  EXPECT_EQ(text_from("00000001.db", "SELECT count(*) FROM run"), "1");
  EXPECT_EQ(text_from("00000001.db", "SELECT count(*) FROM page"), "1");
  all_found();
}

// Two words whose hashes are the same: one finds nothing of the other.
TEST_F(HistoryFiles, AWordIsNotFoundByAnothersHash) {
  open();
  keep("x@b.example", 1, HistoryBlock::kFull);
  history_->close();
  WordKey key{};
  const std::string stored = text_from("00000001.db", "SELECT key FROM state");
  ASSERT_EQ(stored.size(), key.size());
  std::memcpy(key.data(), stored.data(), key.size());
  std::unordered_map<std::uint32_t, int> seen;
  int one = 0;
  int other = 0;
  for (int i = 0; one == other && i < 10'000'000; ++i) {
    const auto [it, fresh] = seen.emplace(hash_of_word(fmt::format("c{}@b.example", i), key), i);
    if (!fresh) one = it->second, other = i;
  }
  ASSERT_NE(one, other);
  open();
  keep(fmt::format("c{}@b.example", one), 2, HistoryBlock::kFull);
  history_->close();
  EXPECT_EQ(history_->find(fmt::format("c{}@b.example", one), 9).size(), 1U);
  EXPECT_TRUE(history_->find(fmt::format("c{}@b.example", other), 9).empty());
}

TEST_F(HistoryFiles, FilesOfTheFirstVersionAreReadAndLeftAsTheyAre) {
  std::filesystem::create_directory(path_);
  std::array<unsigned char, crypto_generichash_BYTES_MIN> hash{};
  const std::string_view word = "alice@b.example";
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(word.data()), word.size(),
                     nullptr, 0);
  std::int64_t number = 0;
  std::memcpy(&number, hash.data(), sizeof number);
  execute("00000007.db",
          fmt::format("PRAGMA journal_mode = WAL; CREATE TABLE record (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, "
                      "json TEXT NOT NULL) STRICT; CREATE TABLE word (hash INTEGER NOT NULL, record INTEGER NOT NULL, "
                      "PRIMARY KEY (hash, record)) STRICT, WITHOUT ROWID; "
                      "INSERT INTO record VALUES (1, 0, 'first'), (2, 0, 'second'); "
                      "INSERT INTO word VALUES ({0}, 1), ({0}, 2)",
                      number));
  open();
  keep("alice@b.example", 1);
  history_->close();
  EXPECT_EQ(history_->find("ALICE@b.example", 9), (Lines{record_of("alice@b.example", 1), "second", "first"}));
  EXPECT_EQ(history_->find("alice@b.example", 2).size(), 2U);
  EXPECT_TRUE(exists("00000008.db"));
  EXPECT_EQ(text_from("00000007.db", "SELECT count(*) FROM sqlite_master WHERE type = 'table'"), "2");
}

TEST_F(HistoryFiles, FilesOfALaterVersionAreLeftAlone) {
  std::filesystem::create_directory(path_);
  execute("00000007.db", "CREATE TABLE other (id INTEGER); PRAGMA user_version = 2");
  open();
  keep("alice@b.example", 1);
  history_->close();
  EXPECT_EQ(history_->find("alice@b.example", 9).size(), 1U);
  EXPECT_TRUE(exists("00000007.db"));
  EXPECT_TRUE(exists("00000008.db"));
}

// Whatever the rows hold: nothing of it is shown, the rest is found, and writing goes on.
TEST_F(HistoryFiles, RowsThatAreDamagedHaveNothing) {
  open();
  for (int i = 0; i < 4; ++i) keep("alice@b.example", i, HistoryBlock::kFull);
  history_->close();
  ASSERT_EQ(history_->find("alice@b.example", 9).size(), 4U);
  execute("00000001.db", "UPDATE block SET pressed = x'00' WHERE id = 1");
  execute("00000001.db", "UPDATE block SET pressed = substr(pressed, 1, 20) WHERE id = 2");
  execute("00000001.db", "UPDATE block SET pressed = x'28B52FFDE0FFFFFFFFFFFFFF7F' WHERE id = 3");  // 2^63 octets
  EXPECT_EQ(history_->find("alice@b.example", 9).size(), 1U);
  execute("00000001.db", "UPDATE page SET places = randomblob(3000)");
  EXPECT_TRUE(history_->find("nobody@b.example", 9).empty());
  execute("00000001.db", "UPDATE state SET key = x'01'; DELETE FROM page; DELETE FROM run");
  EXPECT_TRUE(history_->find("alice@b.example", 9).empty());
  open();
  keep("carol@b.example", 9);
  history_->close();
  EXPECT_EQ(history_->find("carol@b.example", 9).size(), 1U);
  EXPECT_EQ(history_->dropped(), 0);
}

TEST_F(HistoryFiles, AFileWithoutItsTablesIsSetAside) {
  open();
  keep("alice@b.example", 1);
  history_.reset();
  execute("00000001.db", "DROP TABLE state; CREATE TABLE state (other INTEGER)");
  testing::internal::CaptureStderr();
  open();
  keep("carol@b.example", 2);
  history_->close();
  testing::internal::GetCapturedStderr();
  EXPECT_TRUE(exists("00000001.db.damaged"));
  EXPECT_EQ(history_->find("carol@b.example", 9).size(), 1U);
}

}  // namespace
}  // namespace replygate

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "milter/outcome/followed_log.h"
#include "milter/outcome/past_log.h"
#include "tests/support/compress.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of_log(const std::string& path) {
  std::vector<std::string> lines;
  auto log = PastLog::open(path);
  if (!log) return {log.error()};
  while ((*log)->read([&](std::string_view line) { lines.emplace_back(line); })) {
  }
  if (!(*log)->trouble().empty()) lines.push_back((*log)->trouble());
  return lines;
}

TEST(PastLogs, AreReadAsTheyAreKept) {
  const test::Folder folder;
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 30000; ++i) {
    expected.push_back(fmt::format("line {} {}", i, std::string(static_cast<std::size_t>(i % 97), 'x')));
    text += expected.back() + "\n";
  }
  text.pop_back();  // the last one has no end
  folder.write("plain", text);
  test::compress(folder.file("gz"), text, archive_write_add_filter_gzip);
  test::compress(folder.file("xz"), text, archive_write_add_filter_xz);
  test::compress(folder.file("zst"), text, archive_write_add_filter_zstd);
  for (const char* name : {"plain", "gz", "xz", "zst"}) EXPECT_EQ(lines_of_log(folder.file(name)), expected) << name;
}

TEST(PastLogs, SayWhatIsWrong) {
  const test::Folder folder;
  folder.write("empty", "");
  EXPECT_TRUE(lines_of_log(folder.file("empty")).empty());
  EXPECT_EQ(lines_of_log(folder.file("none")),
            std::vector<std::string>{folder.file("none") + ": No such file or directory"});
  EXPECT_NE(lines_of_log(folder.path().string())[0].find("it is a folder"), std::string::npos);
  std::string text;
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) text += fmt::format("{}\n", random());
  test::compress(folder.file("whole.gz"), text, archive_write_add_filter_gzip);
  fs::resize_file(folder.file("whole.gz"), fs::file_size(folder.file("whole.gz")) / 2);
  const auto lines = lines_of_log(folder.file("whole.gz"));
  EXPECT_GT(lines.size(), 50000U);
  EXPECT_NE(lines.back().find("whole.gz: "), std::string::npos) << lines.back();
}

TEST(PastLogs, ALongLineIsCut) {
  const test::Folder folder;
  folder.write("log", "a\n" + std::string(3000000, 'x') + "\nb\n");
  const auto lines = lines_of_log(folder.file("log"));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1].size(), 65536U);
  EXPECT_EQ(lines[2], "b");
}

TEST(LogPositions, AreKeptAsText) {
  const LogPosition position{1, 2, 3, 18446744073709551615ULL, 5};
  EXPECT_EQ(LogPosition::parse(position.text()), position);
  EXPECT_EQ(LogPosition::parse("1 2 3 4"), (LogPosition{1, 2, 3, 4, 0}));  // from before they had a time
  for (const char* text : {"", "1 2 3", "1 2 3 x", "1 2 3 4 5 6"}) EXPECT_FALSE(LogPosition::parse(text)) << text;
}

// A log that is written, rotated in both ways and read by a reader that is killed again and again.
class LifeOfALog {
 public:
  explicit LifeOfALog(unsigned seed) : random_(seed) {
    follow();
    write();
    read();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      write();
      switch (random_() % 6) {
        case 0: rotate(); break;
        case 1: copy_and_truncate(); break;
        case 2:
          position_ = log_->position();
          follow();  // killed, and started again
          break;
        default: break;
      }
      if (random_() % 3 != 0) read();
    }
    write();
    read();
  }

  std::vector<int> read_lines;
  int written = 0;
  int rotations = 0;

 private:
  std::string path(int n) const { return folder_.file(n == 0 ? "mail.log" : fmt::format("mail.log.{}", n)); }

  void write() {
    std::ofstream out(path(0), std::ios::app);
    for (auto n = 1 + random_() % 40; n > 0; --n) out << fmt::format("line {:06}\n", written++);
    out << "half";  // of a line
    out.flush();
    if (random_() % 2 == 0) read();
    out << " a line\n";
  }

  void shift() {
    for (int n = 8; n > 0; --n) {
      if (fs::exists(path(n))) fs::rename(path(n), path(n + 1));
    }
    ++rotations;
  }

  void rotate() {
    shift();
    fs::rename(path(0), path(1));
    if (random_() % 2 == 0) std::ofstream(path(0)).flush();
  }

  void copy_and_truncate() {
    shift();
    fs::copy_file(path(0), path(1));
    std::ofstream(path(0), std::ios::trunc).flush();
  }

  void follow() { log_ = std::make_unique<FollowedLog>(path(0), position_); }

  void read() {
    const auto take = [this](std::string_view line) {
      if (line.starts_with("line ")) read_lines.push_back(std::stoi(std::string(line.substr(5))));
    };
    while (log_->read(take)) EXPECT_EQ(log_->trouble(), "");
  }

  test::Folder folder_;
  std::mt19937 random_;
  std::optional<LogPosition> position_;
  std::unique_ptr<FollowedLog> log_;
};

// A log in a folder of its own, and what a reader has seen of it.
class FollowedLogs : public ::testing::Test {
 protected:
  void write(const std::string& line) { std::ofstream(log_, std::ios::app) << line << "\n"; }
  void copy_and_truncate(const std::string& name = "mail.log.1") {
    fs::copy_file(log_, folder_.file(name), fs::copy_options::overwrite_existing);
    fs::resize_file(log_, 0);
  }
  // As a reader would that is started anew each time.
  void follow() { followed_ = std::make_unique<FollowedLog>(log_, followed_ ? followed_->position() : std::nullopt); }
  std::string seen() {
    constexpr int kMostReadings = 100;
    std::string text;
    for (int i = 0; followed_->read([&](std::string_view line) { text += line; }); ++i) {
      if (i == kMostReadings) return "it does not end";
    }
    return text;
  }
  // The log's folder, as where it is not mounted yet.
  void take_away() { fs::rename(folder_.path(), away_); }
  void bring_back() {
    fs::remove(folder_.path());  // an empty one in its place
    fs::rename(away_, folder_.path());
  }

  test::Folder folder_;
  const std::string log_ = folder_.file("mail.log");
  const std::string away_ = folder_.path().string() + ".away";
  std::unique_ptr<FollowedLog> followed_;
};

TEST_F(FollowedLogs, LoseAndDoubleNothingOverKillsAndRotations) {
  int rotations = 0;
  for (unsigned seed = 1; seed <= 12; ++seed) {
    LifeOfALog life(seed);
    life.run(80);
    ASSERT_EQ(life.read_lines.size(), static_cast<std::size_t>(life.written)) << "seed " << seed;
    for (int i = 0; i < life.written; ++i)
      ASSERT_EQ(life.read_lines[static_cast<std::size_t>(i)], i) << "seed " << seed;
    rotations += life.rotations;
  }
  EXPECT_GE(rotations, 200);
}

// Rotations come at any moment of a look, as fast as they can.
TEST_F(FollowedLogs, LoseNothingToRotationsDuringALook) {
  constexpr int kRotations = 150;
  write("old");
  follow();
  std::atomic<int> written{0};
  std::atomic<bool> over{false};
  std::thread writer([&] {
    std::mt19937 random(5);
    for (int rotation = 1; rotation <= kRotations; ++rotation) {
      const auto lines = 1 + random() % 3;
      for (unsigned i = 0; i < lines; ++i) write(fmt::format("line {:06}", written++));
      const std::string aside = fmt::format("mail.log.{}", rotation);
      if (random() % 2 == 0) {
        copy_and_truncate(aside);
        continue;
      }
      std::ofstream out(log_, std::ios::app);
      fs::rename(log_, folder_.file(aside));
      if (random() % 2 == 0) out << fmt::format("line {:06}\n", written++);  // before the writer is told
    }
    over = true;
  });
  int read = 0;
  const auto take = [&read](std::string_view line) { EXPECT_EQ(line, fmt::format("line {:06}", read++)); };
  for (int looks = 0; !over; ++looks) {
    followed_->read(take);
    if (looks % 50 == 49) follow();  // killed, and started again
  }
  writer.join();
  EXPECT_TRUE(test::eventually([&] {
    followed_->read(take);
    return read >= written;
  }));
  EXPECT_EQ(read, written);
}

TEST_F(FollowedLogs, BeginAtTheEndOfALogThatIsThere) {
  write("old");
  follow();
  write("new");
  EXPECT_EQ(seen(), "new");
}

// What is copied before anything was read has nothing by which it would be known again.
TEST_F(FollowedLogs, FindTheCopyOfALogOfWhichNothingWasRead) {
  for (const bool restarted : {false, true}) {
    followed_ = nullptr;
    folder_.write("mail.log", "");
    fs::remove(folder_.file("mail.log.1"));
    fs::remove(folder_.file("mail.log.2"));
    follow();
    EXPECT_EQ(seen(), "");
    write("one");
    copy_and_truncate("mail.log.2");
    write("two");
    copy_and_truncate("mail.log.1");
    if (restarted) follow();
    write("three");
    EXPECT_EQ(seen(), "onetwothree");
    EXPECT_EQ(seen(), "");
  }
}

// The log was empty each time that it was looked at.
TEST_F(FollowedLogs, FindEachOfSeveralCopies) {
  write("old");
  follow();
  for (int i = 0; i < 5; ++i) {
    write(fmt::format("{}a", i));
    copy_and_truncate(fmt::format("mail.log.{}", 9 - i));
    EXPECT_EQ(seen(), fmt::format("{}a", i));
    write(fmt::format("{}b", i));
    copy_and_truncate(fmt::format("mail.log.1{}", 9 - i));
    if (i % 2 == 0) follow();
    EXPECT_EQ(seen(), fmt::format("{}b", i));
    EXPECT_EQ(followed_->trouble(), "");
  }
}

// Each rotation writes over the copy of the one before.
TEST_F(FollowedLogs, FindACopyInThePlaceOfAnother) {
  write("old");
  follow();
  for (const char* line : {"one", "two", "three"}) {
    write(line);
    copy_and_truncate();
    EXPECT_EQ(seen(), line);
  }
}

TEST_F(FollowedLogs, DoNotReadAgainWhatLayThereAtTheStart) {
  folder_.write("mail.log.1", "older\n");
  folder_.write("mail.log", "");
  follow();
  EXPECT_EQ(seen(), "");
  write("one");
  copy_and_truncate("mail.log.2");
  write("two");
  EXPECT_EQ(seen(), "onetwo");
}

// What a copy has is not to wait until the log itself, emptied behind it, is written again.
TEST_F(FollowedLogs, ReadWhatLiesBeforeAnEmptyLog) {
  const auto put = [&](const char* name, const char* text, int age) {
    folder_.write(name, text);
    fs::last_write_time(folder_.file(name), fs::file_time_type::clock::now() - std::chrono::seconds(age));
  };
  put("mail.log", "one\n", 100);
  follow();
  fs::rename(log_, folder_.file("mail.log.2"));
  put("mail.log.1", "two\nthree\n", 50);
  put("mail.log", "", 0);
  EXPECT_EQ(seen(), "twothree");
  write("four");
  EXPECT_EQ(seen(), "four");
}

TEST_F(FollowedLogs, ReadOnceWhatHasTwoNames) {
  write("one");
  follow();
  for (const bool symbolic : {false, true}) {
    write("two");
    fs::rename(log_, folder_.file("mail.log.1"));
    fs::remove(folder_.file("mail.log.2"));
    symbolic ? fs::create_symlink("mail.log.1", folder_.file("mail.log.2"))
             : fs::create_hard_link(folder_.file("mail.log.1"), folder_.file("mail.log.2"));
    write("three");
    EXPECT_EQ(seen(), "twothree") << symbolic;
  }
}

TEST_F(FollowedLogs, GoOnWhereALogComesIntoReach) {
  write("one");
  follow();
  write("two");
  for (const bool empty_folder : {false, true}) {
    take_away();
    if (empty_folder) fs::create_directory(folder_.path());
    follow();
    EXPECT_EQ(seen(), "");
    EXPECT_EQ(followed_->trouble(), log_ + ": No such file or directory");
    EXPECT_FALSE(followed_->is_lost());
    bring_back();
    EXPECT_EQ(seen(), "two");
    EXPECT_EQ(followed_->trouble(), "");
    write("two");
  }
}

TEST_F(FollowedLogs, BeginAtTheEndOfALogThatComesIntoReach) {
  write("old");
  for (const bool empty_folder : {false, true}) {
    take_away();
    if (empty_folder) fs::create_directory(folder_.path());
    followed_ = std::make_unique<FollowedLog>(log_, std::nullopt);
    EXPECT_EQ(seen(), "");
    bring_back();
    EXPECT_EQ(seen(), "");
    write("new");
    EXPECT_EQ(seen(), "new");
  }
}

TEST_F(FollowedLogs, ReadAllOfALogThatIsNew) {
  follow();
  EXPECT_EQ(seen(), "");
  write("one");
  EXPECT_EQ(seen(), "one");
}

// Until the next line, with logrotate's "nocreate".
TEST_F(FollowedLogs, AreInOrderWhereNobodyHasCreatedTheLogYet) {
  write("one");
  follow();
  fs::rename(log_, folder_.file("mail.log.1"));
  EXPECT_EQ(seen(), "");
  EXPECT_EQ(followed_->trouble(), "");
  follow();
  EXPECT_EQ(followed_->trouble(), "");
  write("two");
  EXPECT_EQ(seen(), "two");
  take_away();
  EXPECT_EQ(followed_->trouble(), log_ + ": No such file or directory");
  bring_back();
}

TEST_F(FollowedLogs, SayWhereTheFileIsGone) {
  write("one");
  follow();
  folder_.write("mail.log", "two\n");
  follow();
  EXPECT_TRUE(followed_->is_lost());
  EXPECT_EQ(followed_->trouble(), "");
  EXPECT_EQ(seen(), "two");
  take_away();
  follow();
  EXPECT_FALSE(followed_->is_lost());
  bring_back();
  folder_.write("mail.log", "three\n");
  EXPECT_TRUE(followed_->read([](std::string_view line) { EXPECT_EQ(line, "three"); }));
  EXPECT_NE(followed_->trouble().find("lines may be missing"), std::string::npos);
}

// Who swaps a log for one between two calls keeps nobody waiting.
TEST(RotatedFiles, AreNoFifos) {
  const test::Folder folder;
  ASSERT_EQ(::mkfifo(folder.file("mail.log.1").c_str(), 0600), 0);
  EXPECT_EQ(open_regular(folder.file("mail.log.1")), nullptr);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(rotated_files(folder.file("mail.log"))->size(), 0U);
}

TEST(RotatedFiles, AreKnownByTheirNames) {
  for (const char* name : {"mail.log.1", "mail.log-20261129", "mail.log.2.gz"}) {
    EXPECT_TRUE(is_rotation_of("mail.log", name)) << name;
  }
  for (const char* name : {"mail.log", "mail.log.", "mail.log.bak", "mail.log1", "mail.err.1"}) {
    EXPECT_FALSE(is_rotation_of("mail.log", name)) << name;
  }
}

}  // namespace
}  // namespace replygate

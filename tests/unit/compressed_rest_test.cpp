// A log that is rotated and compressed while nobody reads it.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "milter/outcome/followed_log.h"
#include "tests/support/compress.h"
#include "tests/support/folder.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

struct Compression {
  const char* end;
  int (*filter)(archive*);
  bool keeps_time;
};

constexpr Compression kGzip{".gz", archive_write_add_filter_gzip, true};

class Rotations {
 public:
  std::string log() const { return folder_.file("mail.log"); }
  std::string path(int n) const { return n == 0 ? log() : folder_.file(fmt::format("mail.log.{}", n)); }

  void write(const std::string& line) { std::ofstream(log(), std::ios::app) << line << "\n"; }
  void rotate() {
    for (int n = 60; n > 0; --n) {
      for (const char* end : {"", ".gz", ".xz", ".zst"}) {
        if (fs::exists(path(n) + end)) fs::rename(path(n) + end, path(n + 1) + end);
      }
    }
    fs::rename(log(), path(1));
  }
  void compress(int n, const Compression& with = kGzip) { replace(path(n), path(n) + with.end, with); }
  // As "copytruncate" does where nothing delays the compression.
  void copy_and_compress() {
    const fs::path copy = folder_.file("copy");
    fs::copy_file(log(), copy);
    replace(copy, path(1) + ".gz", kGzip);
    fs::resize_file(log(), 0);
  }

 private:
  static void replace(const fs::path& plain, const std::string& compressed, const Compression& with) {
    std::ostringstream text;
    text << std::ifstream(plain).rdbuf();
    test::compress(compressed, text.str(), with.filter);
    if (with.keeps_time) fs::last_write_time(compressed, fs::last_write_time(plain));
    fs::remove(plain);
  }

  test::Folder folder_;
};

class CompressedRests : public testing::Test {
 protected:
  CompressedRests() {
    files_.write("old");
    follow();
  }
  void write(const std::string& line) { files_.write(line); }
  // As a reader would that is started anew each time.
  void follow() {
    const auto position = followed_ ? followed_->position() : std::nullopt;
    followed_ = std::make_unique<FollowedLog>(files_.log(), position ? LogPosition::parse(position->text()) : position);
  }
  std::string seen() {
    std::string text;
    while (followed_->read([&](std::string_view line) { text += line; })) EXPECT_EQ(followed_->trouble(), "");
    return text;
  }
  // "one" is read, "two" is in the same file, "three" in the next one, "four" in the log.
  void rotate_twice() {
    write("one");
    EXPECT_EQ(seen(), "one");
    write("two");
    files_.rotate();
    write("three");
    files_.rotate();
    write("four");
  }

  Rotations files_;
  std::unique_ptr<FollowedLog> followed_;
};

TEST_F(CompressedRests, AreReadOnceWhicheverTheFormIs) {
  for (const bool keeps_time : {true, false}) {
    for (const Compression& with : {kGzip, Compression{".xz", archive_write_add_filter_xz, true},
                                    Compression{".zst", archive_write_add_filter_zstd, true}}) {
      SCOPED_TRACE(fmt::format("{} {}", with.end, keeps_time));
      write(fmt::format("{} {}", with.end, keeps_time));  // as times do, it tells the files apart
      seen();
      rotate_twice();
      files_.compress(2, {with.end, with.filter, keeps_time});
      follow();
      EXPECT_TRUE(followed_->goes_on());
      EXPECT_EQ(seen(), "twothreefour");
      follow();
      EXPECT_EQ(seen(), "");
    }
  }
}

TEST_F(CompressedRests, GoOnWithCompressedFilesAndThenWithPlainOnes) {
  for (const bool keeps_time : {true, false}) {
    rotate_twice();
    files_.rotate();
    write("five");
    files_.compress(3, {".gz", archive_write_add_filter_gzip, keeps_time});
    files_.compress(2, {".gz", archive_write_add_filter_gzip, keeps_time});
    follow();
    EXPECT_EQ(seen(), "twothreefourfive");
    EXPECT_EQ(seen(), "");
  }
}

// All of the file was read before it was compressed.
TEST_F(CompressedRests, MayBeEmpty) {
  write("one");
  EXPECT_EQ(seen(), "one");
  files_.rotate();
  files_.compress(1);
  follow();
  EXPECT_TRUE(followed_->goes_on());
  EXPECT_EQ(seen(), "");
  EXPECT_EQ(followed_->trouble(), "");  // nobody has created the log yet
  follow();
  write("two");
  EXPECT_EQ(seen(), "two");
}

TEST_F(CompressedRests, LoseAndDoubleNothingByKillsBetweenTheirBlocks) {
  constexpr int kFiles = 3;
  constexpr int kLines = 30'000;
  write("line 0.");
  EXPECT_EQ(seen(), "line 0.");
  for (int file = 0; file < kFiles; ++file) {
    if (file > 0) files_.rotate();
    std::ofstream out(files_.log(), std::ios::app);
    for (int i = 1; i <= kLines; ++i) out << fmt::format("line {}. and some more of it\n", file * kLines + i);
  }
  files_.compress(2);
  files_.compress(1);
  int read = 0;
  int kills = 0;
  const auto take = [&](std::string_view line) {
    EXPECT_TRUE(line.starts_with(fmt::format("line {}.", ++read))) << line;
  };
  do {
    follow();
    EXPECT_TRUE(followed_->goes_on());
    ++kills;
  } while (followed_->read(take));
  EXPECT_EQ(read, kFiles * kLines);
  EXPECT_GT(kills, 10);
}

TEST_F(CompressedRests, ThatAreGoneLeaveWhatWasWrittenLater) {
  for (const bool damaged : {false, true}) {
    rotate_twice();
    files_.compress(2);
    if (damaged) fs::resize_file(files_.path(2) + ".gz", 10);
    if (!damaged) fs::remove(files_.path(2) + ".gz");
    follow();
    EXPECT_TRUE(followed_->is_lost());
    EXPECT_TRUE(followed_->loss().starts_with(
        "what was read last is no longer there; lines may be missing that were written after 20"))
        << followed_->loss();
    EXPECT_TRUE(followed_->loss().ends_with("Z, and reading goes on at the begin of " + files_.path(1)));
    EXPECT_EQ(seen(), "threefour");
  }
}

// The reader stands in a file that is deleted while it is open.
TEST_F(CompressedRests, AreReadThoughTheFileBeforeThemIsGone) {
  write("one");
  EXPECT_EQ(seen(), "one");
  files_.rotate();
  write("two");
  files_.rotate();
  write("three");
  fs::last_write_time(files_.path(2), fs::last_write_time(files_.path(1)) - std::chrono::hours(24));
  files_.compress(1);
  fs::remove(files_.path(2));
  EXPECT_EQ(seen(), "twothree");
  EXPECT_EQ(followed_->trouble(), "");
}

// What was kept by a version that knew no times.
TEST_F(CompressedRests, AreFoundByAPositionWithoutTime) {
  for (const bool gone : {false, true}) {
    rotate_twice();
    files_.compress(2);
    if (gone) fs::remove(files_.path(2) + ".gz");
    LogPosition position = *followed_->position();
    position.changed = 0;
    followed_ = std::make_unique<FollowedLog>(files_.log(), position);
    EXPECT_EQ(followed_->goes_on(), !gone);
    EXPECT_EQ(followed_->loss(),
              gone ? "what was read last is no longer there; lines may be missing, and reading goes on "
                     "at the begin of " +
                         files_.log()
                   : "");
    EXPECT_EQ(seen(), gone ? "four" : "twothreefour");
  }
}

TEST_F(CompressedRests, AreReadWhereACopyIsCompressedAtOnce) {
  write("one");
  EXPECT_EQ(seen(), "one");
  write("two");
  files_.copy_and_compress();
  EXPECT_EQ(seen(), "two");
  write("three");
  EXPECT_EQ(seen(), "three");
}

TEST_F(CompressedRests, MayStandBehindAPlainFile) {
  for (const char* kind : {"one rotation", "two"}) {
    SCOPED_TRACE(kind);
    rotate_twice();
    if (kind[0] == 't') {
      files_.rotate();
      write("five");
      files_.compress(2);
    }
    files_.compress(1);
    follow();
    EXPECT_EQ(seen(), kind[0] == 't' ? "twothreefourfive" : "twothreefour");
    write("six");
    EXPECT_EQ(seen(), "six");
  }
}

// Nothing was read of it: its begin looks like that of any other.
TEST_F(CompressedRests, OfALogThatWasEmpty) {
  fs::resize_file(files_.log(), 0);
  followed_ = std::make_unique<FollowedLog>(files_.log(), std::nullopt);
  EXPECT_EQ(seen(), "");
  EXPECT_EQ(followed_->position()->offset, 0U);
  write("one");
  files_.copy_and_compress();
  write("two");
  follow();
  EXPECT_EQ(seen(), "onetwo");
}

TEST_F(CompressedRests, OfALogThatWasEmptyAndRotatedTwice) {
  fs::resize_file(files_.log(), 0);
  followed_ = std::make_unique<FollowedLog>(files_.log(), std::nullopt);
  EXPECT_EQ(seen(), "");
  write("one");
  files_.copy_and_compress();
  fs::rename(files_.path(1) + ".gz", files_.path(2) + ".gz");
  write("two");
  fs::copy_file(files_.log(), files_.path(1));
  fs::resize_file(files_.log(), 0);
  write("three");
  follow();
  EXPECT_EQ(seen(), "onetwothree");
}

TEST_F(CompressedRests, AreNotReadWhereNothingWasReadBefore) {
  files_.rotate();
  write("");
  fs::resize_file(files_.log(), 0);
  const auto created = fs::last_write_time(files_.log());
  files_.compress(1);
  fs::last_write_time(files_.path(1) + ".gz", created + std::chrono::seconds(1));
  followed_ = std::make_unique<FollowedLog>(files_.log(), std::nullopt);
  EXPECT_EQ(seen(), "");
  write("new");
  EXPECT_EQ(seen(), "new");
}

TEST_F(CompressedRests, TellWhatAnEmptiedLogMayHaveLost) {
  write("one");
  EXPECT_EQ(seen(), "one");
  fs::resize_file(files_.log(), 0);
  write("2");
  EXPECT_TRUE(followed_->read([](std::string_view line) { EXPECT_EQ(line, "2"); }));
  EXPECT_NE(followed_->trouble().find("may be missing"), std::string::npos) << followed_->trouble();
}

// Rotated and compressed at any moment, read by a reader that is killed again and again.
TEST_F(CompressedRests, LoseAndDoubleNothingWheneverTheyCome) {
  for (unsigned seed = 1; seed <= 15; ++seed) {
    std::mt19937 random(seed);
    Rotations files;
    files.write("old");
    auto followed = std::make_unique<FollowedLog>(files.log(), std::nullopt);
    int written = 0;
    int read = 0;
    const auto take = [&](std::string_view line) { ASSERT_EQ(line, fmt::format("line {:06}", read++)) << seed; };
    for (int step = 0; step < 60; ++step) {
      for (auto n = random() % 30; n > 0; --n) files.write(fmt::format("line {:06}", written++));
      if (random() % 3 == 0 && fs::exists(files.log())) files.rotate();
      const int newest = 1 + static_cast<int>(random() % 4);
      const bool compresses = random() % 2 == 0;
      for (int n = 59; n >= newest && compresses; --n) {
        if (fs::exists(files.path(n))) files.compress(n, {".gz", archive_write_add_filter_gzip, random() % 2 == 0});
      }
      if (random() % 3 == 0) followed = std::make_unique<FollowedLog>(files.log(), followed->position());
      if (random() % 2 == 0) followed->read(take);
      if (HasFatalFailure()) return;
    }
    files.write(fmt::format("line {:06}", written++));
    while (followed->read(take)) EXPECT_EQ(followed->trouble(), "");
    EXPECT_EQ(read, written) << seed;
  }
}

}  // namespace
}  // namespace replygate

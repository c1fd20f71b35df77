#include "milter/log/writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "milter/log/throttle.h"
#include "tests/support/folder.h"

namespace replygate {
namespace {

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_NONBLOCK | O_CLOEXEC), 0); }
  ~Pipe() { ::close(ends_[0]); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int in() const { return ends_[1]; }
  std::string take() const {
    std::string all;
    std::array<char, 65536> chunk{};
    for (ssize_t n = 0; (n = ::read(ends_[0], chunk.data(), chunk.size())) > 0;) {
      all.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  std::array<int, 2> ends_{};
};

TEST(Writer, KeepsEntriesWholeFromManyThreads) {
  const Pipe pipe;
  {
    Writer writer(pipe.in(), true, "pipe");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&writer, t] {
        for (int i = 0; i < 100; ++i) writer.write(std::string(20, static_cast<char>('a' + t)) + "\n");
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const std::string all = pipe.take();
  ASSERT_EQ(all.size(), 400U * 21);
  for (std::size_t i = 0; i < all.size(); i += 21) {
    EXPECT_EQ(all.substr(i, 21), std::string(20, all[i]) + "\n");
  }
}

// Under the umask of the unit; the group is the folder's.
TEST(Writer, AGroupMayReadTheFile) {
  const test::Folder folder;
  constexpr gid_t kGroup = 4;
  const bool grouped =
      ::chown(folder.path().c_str(), ::geteuid(), kGroup) == 0 && ::chmod(folder.path().c_str(), 02750) == 0;
  const mode_t before = ::umask(0077);
  const auto writer = Writer::to_file(folder.file("decisions.json"));
  ::umask(before);
  ASSERT_TRUE(writer);
  struct stat file{};
  ASSERT_EQ(::stat(folder.file("decisions.json").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0640U);
  if (grouped) {
    EXPECT_EQ(file.st_gid, kGroup);
  }
}

TEST(Writer, ClosedItDropsWhatComes) {
  const Pipe pipe;
  Writer writer(pipe.in(), true, "pipe");
  writer.write("one\n");
  writer.close();
  writer.write("two\n");
  EXPECT_EQ(pipe.take(), "one\n");
  EXPECT_EQ(writer.dropped(), 1);
}

TEST(Writer, ASlowReaderCostsEntriesAndNoTime) {
  const Pipe pipe;
  {
    Writer writer(pipe.in(), true, "pipe");
    const std::string entry(std::size_t{1} << 20, 'x');
    for (int i = 0; i < 40; ++i) writer.write(entry);
    EXPECT_GT(writer.dropped(), 0);
  }
  EXPECT_FALSE(pipe.take().empty());
}

TEST(Throttle, SaysOneLineInTenSeconds) {
  const Throttle::Time start{std::chrono::hours(1)};
  Throttle throttle;
  testing::internal::CaptureStderr();
  for (const int second : {0, 1, 9, 10, 30}) throttle.say("trouble", start + std::chrono::seconds(second));
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "replygate: trouble\nreplygate: trouble (2 more such since)\nreplygate: trouble\n");
}

// A full disk is trouble as long as writing fails, and is said once.
TEST(Writer, AFullDiskIsTrouble) {
  auto writer = Writer::to_file("/dev/full").value();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) writer->write("a line\n");
  writer->close();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said, "replygate: cannot write to /dev/full: No space left on device; what is to be written is lost\n");
  EXPECT_EQ(writer->trouble(), "cannot write to /dev/full: No space left on device; what is to be written is lost");
  EXPECT_EQ(writer->dropped(), 3);
}

}  // namespace
}  // namespace replygate

#include "policy/base/spares.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace replygate {
namespace {

// Knows how many there are, and whether two hold it at once.
struct Counted {
  explicit Counted(std::atomic<int>& count) : alive(count) { ++alive; }
  ~Counted() { --alive; }

  std::atomic<int>& alive;
  int held = 0;  // no atomic: TSan sees whether two hold it
};

using Kept = Spares<Counted, 4>;

TEST(Spares, GivesBackWhatHasWaitedLongest) {
  std::atomic<int> alive{0};
  Kept spares;
  EXPECT_EQ(spares.take(), nullptr);
  for (int i = 1; i <= 3; ++i) {
    auto kept = std::make_unique<Counted>(alive);
    kept->held = i;
    spares.keep(std::move(kept));
  }
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(spares.take()->held, i);
  EXPECT_EQ(spares.take(), nullptr);
  EXPECT_EQ(alive, 0);
}

TEST(Spares, DeletesWhatItHasNoRoomFor) {
  std::atomic<int> alive{0};
  {
    Kept spares;
    for (int i = 0; i < 10; ++i) spares.keep(std::make_unique<Counted>(alive));
    EXPECT_EQ(alive, 4);
    EXPECT_NE(spares.take(), nullptr);
    EXPECT_EQ(alive, 3);
    for (int i = 0; i < 4; ++i) spares.keep(std::make_unique<Counted>(alive));
    EXPECT_EQ(alive, 4);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Spares, NoTwoThreadsGetTheSame) {
  std::atomic<int> alive{0};
  std::atomic<int> twice{0};
  {
    Kept spares;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 20'000; ++i) {
          std::unique_ptr<Counted> mine = spares.take();
          if (!mine) mine = std::make_unique<Counted>(alive);
          if (mine->held++ != 0) ++twice;
          --mine->held;
          spares.keep(std::move(mine));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(alive, 4);
    // However they met, it goes on to serve.
    for (int i = 0; i < 8; ++i) spares.keep(std::make_unique<Counted>(alive));
    EXPECT_EQ(alive, 4);
    int served = 0;
    for (int i = 0; i < 4; ++i) served += spares.take() != nullptr ? 1 : 0;
    EXPECT_EQ(served, 4);
  }
  EXPECT_EQ(twice, 0);
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace replygate

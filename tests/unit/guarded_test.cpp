#include "milter/guarded.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "tests/support/eventually.h"

namespace replygate::test {
namespace {

TEST(Guarded, WhatIsThrownEndsOneStepAlone) {
  testing::internal::CaptureStderr();
  EXPECT_FALSE(guarded("a thread", [] { throw std::runtime_error("a cause"); }));
  EXPECT_FALSE(guarded("a thread", [] { throw 5; }));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "replygate: a thread: internal error: a cause; going on\n");
  EXPECT_TRUE(guarded("a thread", [] {}));
  std::atomic<int> steps = 0;
  Ticker ticker("ticker", std::chrono::milliseconds(1), [&] {
    ++steps;
    throw std::runtime_error("again");
  });
  EXPECT_TRUE(eventually([&] { return steps > 3; }));
  ticker.stop();
}

}  // namespace
}  // namespace replygate::test

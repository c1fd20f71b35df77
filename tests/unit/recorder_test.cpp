#include "milter/log/recorder.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/world.h"

namespace replygate {
namespace {

Record record_of(const test::World& world, const std::string& ref) {
  return {.policy = world.policy,
          .time = world.now,
          .door = "milter",
          .session = "S",
          .ref = ref,
          .connection = {},
          .transaction = {},
          .recipients = {},
          .message = {},
          .disposition = {}};
}

// Keeps references, and waits at the first record until it is let on.
class Reader final : public RecordListener {
 public:
  void hear(Rendering& rendering) override {
    if (heard.empty() && gate.valid()) gate.wait();
    heard.push_back(rendering.record().ref);
  }
  void heard_all() override { ++batches; }

  std::shared_future<void> gate;
  std::vector<std::string> heard;
  int batches = 0;
};

class Thrower final : public RecordListener {
 public:
  void hear(Rendering&) override { throw std::runtime_error("a reader fails"); }
};

// Whose reader waits at the first record.
struct Held {
  explicit Held(std::int64_t octets) : recorder({.octets = octets}) {
    reader.gate = let.get_future().share();
    recorder.add(reader);
    recorder.start();
  }
  void finish() {
    let.set_value();
    recorder.stop();
  }

  std::promise<void> let;
  Reader reader;
  Recorder recorder;
};

TEST(Recorder, KeepsTheOrderOfEachWriter) {
  const test::World world("");
  Reader reader;
  Recorder recorder;
  recorder.add(reader);
  recorder.start();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) recorder.write(record_of(world, std::to_string(t) + ' ' + std::to_string(i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  recorder.stop();
  EXPECT_EQ(recorder.dropped(), 0);
  ASSERT_EQ(reader.heard.size(), 2000U);
  std::map<char, int> next;
  for (const std::string& ref : reader.heard) EXPECT_EQ(std::stoi(ref.substr(2)), next[ref[0]]++);
  EXPECT_GT(reader.batches, 0);
}

TEST(Recorder, WhoAsksHearsWhatWasWrittenBefore) {
  const test::World world("");
  Reader reader;
  Recorder recorder;
  recorder.add(reader);
  recorder.start();
  for (std::size_t i = 1; i <= 20; ++i) {
    recorder.write(record_of(world, std::to_string(i)));
    recorder.catch_up(std::chrono::minutes(1));
    EXPECT_EQ(reader.heard.size(), i);
  }
}

TEST(Recorder, ASlowReaderCostsRecordsAndNobodyTime) {
  const test::World world("");
  Held held(200'000);
  auto& [let, reader, recorder] = held;
  constexpr int kWritten = 1000;
  for (int i = 0; i < kWritten; ++i) recorder.write(record_of(world, std::to_string(i)));
  const auto dropped = recorder.dropped();
  EXPECT_GT(dropped, 0);
  recorder.catch_up(std::chrono::milliseconds(1));  // gives up
  held.finish();
  EXPECT_EQ(reader.heard.size(), static_cast<std::size_t>(kWritten - dropped));
  EXPECT_EQ(reader.heard.front(), "0");
  recorder.write(record_of(world, "too late"));
  EXPECT_EQ(recorder.dropped(), dropped + 1);
}

TEST(Recorder, MoreRecordsThanItHasRoomForAreDropped) {
  const test::World world("");
  Held held(std::int64_t{1} << 40);
  auto& [let, reader, recorder] = held;
  constexpr std::size_t kWritten = 20'000;
  for (std::size_t i = 0; i < kWritten; ++i) recorder.write(record_of(world, ""));
  EXPECT_GE(recorder.dropped(), 3000);
  held.finish();
  EXPECT_EQ(reader.heard.size() + static_cast<std::size_t>(recorder.dropped()), kWritten);
}

TEST(Recorder, HeadersTakeRoom) {
  const test::World world("");
  Held held(200'000);
  auto& [let, reader, recorder] = held;
  for (int i = 0; i < 3; ++i) {
    Record record = record_of(world, std::to_string(i));
    (i == 1 ? record.disposition.headers : record.transaction.headers).push_back({"x-long", std::string(90'000, 'x')});
    recorder.write(std::move(record));
  }
  EXPECT_EQ(recorder.dropped(), 1);
  held.finish();
  EXPECT_EQ(reader.heard.size(), 2U);
}

TEST(Recorder, KeepsNoPolicyOfWhatWasHeard) {
  const test::World world("");
  Reader reader;
  Recorder recorder;
  recorder.add(reader);
  recorder.start();
  Record record = record_of(world, "1");
  record.policy = std::shared_ptr<const Policy>(world.policy.get(), [](const Policy*) {});
  const std::weak_ptr<const Policy> policy = record.policy;
  recorder.write(std::move(record));
  recorder.catch_up(std::chrono::minutes(1));
  EXPECT_TRUE(policy.expired());
}

TEST(Recorder, WhatOneReaderThrowsTheOthersHear) {
  const test::World world("");
  Thrower thrower;
  Reader reader;
  Recorder recorder;
  recorder.add(thrower);
  recorder.add(reader);
  recorder.start();
  recorder.write(record_of(world, "1"));
  recorder.write(record_of(world, "2"));
  recorder.stop();
  EXPECT_EQ(reader.heard, (std::vector<std::string>{"1", "2"}));
}

TEST(Recorder, WhatNobodyHasHeardIsFreed) {
  const test::World world("");
  Recorder recorder;
  recorder.start();
  recorder.write(record_of(world, "1"));
}

}  // namespace
}  // namespace replygate

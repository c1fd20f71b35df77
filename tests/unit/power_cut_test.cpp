// The power is cut at every moment: what was acknowledged with `commit` is there, and the file opens.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <future>
#include <thread>

#include "milter/store/sqlite_store.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"

namespace replygate::test {
namespace {

constexpr int kKeys = 40;
using Counts = std::array<std::int64_t, kKeys>;

// REPLYGATE_POWER_CUTS: how many; 1000 is the long form.
int cuts() {
  const char* wanted = std::getenv("REPLYGATE_POWER_CUTS");
  return wanted == nullptr ? 60 : std::atoi(wanted);
}

class PowerCut : public ::testing::TestWithParam<StoreSettings::Durability> {
 protected:
  static Charge charge(int key, std::int64_t cost) {
    return {.counter = fmt::format("k{}", key),
            .measure = Sliding{std::chrono::hours(1)},
            .most = 1'000'000,
            .cost = cost,
            .reserve = false};
  }
  std::unique_ptr<SqliteStore> open(const Folder& folder) {
    auto store = SqliteStore::open({.path = folder.file("state.db"), .durability = GetParam()}, clock_, health_);
    EXPECT_TRUE(store) << store.error();
    return *std::move(store);
  }
  std::int64_t used(SqliteStore& store, int key) {
    std::int64_t used = -1;
    store.take({charge(key, 0)}, false, clock_.now(), [&](const Readings& r) { used = r.readings.at(0)->used; });
    return used;
  }
  void count(int key) {
    ++asked_[static_cast<std::size_t>(key)];
    std::promise<void> done;
    store_->take({charge(key, 1)}, true, clock_.now(), [&](const Readings&) {
      ++acknowledged_[static_cast<std::size_t>(key)];
      done.set_value();
    });
    soon(done);
  }

  FaultyVfs disk_;
  HandClock clock_;
  StoreHealth health_;
  std::unique_ptr<SqliteStore> store_;
  std::array<std::atomic<std::int64_t>, kKeys> acknowledged_{};
  Counts asked_{};
};

TEST_P(PowerCut, LosesNothingThatWasAcknowledged) {
  std::mt19937_64 random(20261129);
  const Folder folder;
  disk_.record(folder.path().string());
  store_ = open(folder);
  long lost = 0;
  long invented = 0;
  // With `window` the disk is asked ten times a second, which takes its time.
  const bool commit = GetParam() == StoreSettings::Durability::commit;
  for (int i = 0; i < (commit ? cuts() : cuts() / 6); ++i) {
    Counts safe{};
    disk_.cut_power(1 + static_cast<std::int64_t>(random() % (commit ? 60 : 20)), [&] {
      for (std::size_t k = 0; k < kKeys; ++k) safe[k] = acknowledged_[k];
    });
    while (!disk_.was_cut()) {
      count(static_cast<int>(random() % kKeys));
      if (!commit) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const Folder after;
    disk_.write_remains(after.path().string(), random);
    const auto survivor = open(after);
    for (int k = 0; k < kKeys; ++k) {
      const auto place = static_cast<std::size_t>(k);
      const std::int64_t there = used(*survivor, k);
      if (commit) lost += std::max<std::int64_t>(safe[place] - there, 0);
      invented += std::max<std::int64_t>(there - asked_[place], 0);
    }
    for (const auto& entry : std::filesystem::directory_iterator(after.path())) {
      EXPECT_EQ(entry.path().string().find("unusable"), std::string::npos) << "cut " << i;
    }
  }
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(invented, 0);
  store_.reset();
}

INSTANTIATE_TEST_SUITE_P(Durabilities, PowerCut,
                         ::testing::Values(StoreSettings::Durability::commit, StoreSettings::Durability::window),
                         [](const auto& one) {
                           return one.param == StoreSettings::Durability::commit ? "Commit" : "Window";
                         });

}  // namespace
}  // namespace replygate::test

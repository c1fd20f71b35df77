#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "policy/count/store.h"
#include "tests/support/eventually.h"

// What every store must do. A store is made by a factory, so that each implementation runs the same tests.
namespace replygate {

struct Maker {
  const char* name;
  std::function<std::unique_ptr<Store>()> make;
};

class StoreContract : public ::testing::TestWithParam<Maker> {
 protected:
  Readings take(std::vector<Charge> charges, bool admit = true) {
    std::promise<Readings> told;
    store_->take(std::move(charges), admit, now_, [&](Readings r) { told.set_value(std::move(r)); });
    Readings result = test::soon(told);
    EXPECT_TRUE(std::ranges::all_of(result.readings, [](const auto& r) { return r.has_value(); }));
    return result;
  }

  static Charge charge(std::string counter, std::int64_t most, std::int64_t cost = 1) {
    return {.counter = std::move(counter), .measure = Sliding{std::chrono::hours(1)}, .most = most, .cost = cost};
  }

  void settle(std::vector<ReservationId> ids, Settlement settlement) {
    std::promise<void> done;
    store_->settle(std::move(ids), settlement, now_, [&] { done.set_value(); });
    test::soon(done);
  }

  std::int64_t used(const std::string& counter) { return take({charge(counter, 1)}, false).readings.at(0)->used; }

  std::unique_ptr<Store> store_ = GetParam().make();
  Instant now_{std::chrono::hours(490000)};
};

}  // namespace replygate

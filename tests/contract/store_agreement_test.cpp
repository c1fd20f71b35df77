// The shared store says the same as the one in memory, whatever it is asked.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <random>
#include <thread>

#include "milter/store/redis_store.h"
#include "policy/count/store_memory.h"
#include "tests/support/eventually.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Agreement : public ::testing::Test {
 protected:
  Agreement() : redis_(RedisStore::open(settings(), clock_, health_, RedisStore::Time::caller).value()) {
    EXPECT_TRUE(eventually([this] { return redis_->available(); }));
  }

  StoreSettings settings() {
    StoreSettings settings{.backend = StoreSettings::Backend::redis};
    settings.servers = {server_.address()};
    settings.timeout = seconds(10);
    return settings;
  }

  Readings take(Store& store, const std::vector<Charge>& charges, bool admit) const {
    std::promise<Readings> told;
    store.take(charges, admit, now_, [&](Readings r) { told.set_value(std::move(r)); });
    return soon(told);
  }
  void settle(Store& store, ReservationId id, Settlement settlement) const {
    std::promise<void> done;
    store.settle({id}, settlement, now_, [&] { done.set_value(); });
    soon(done);
  }

  std::int64_t number(std::int64_t most) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most + 1));
  }

  Charge charge() {
    Charge c{.most = number(8), .cost = number(3), .group = static_cast<std::uint32_t>(number(1))};
    c.even_if_full = number(3) == 0;
    c.reserve = number(1) == 0;
    c.warn_at = number(2) == 0 ? number(5) : 0;
    c.again = number(4) == 0 ? 1 : 0;
    const std::int64_t which = number(3);
    switch (number(5)) {
      case 0:
        c.measure = Sliding{minutes(10)};
        c.counter = fmt::format("window{}", which);
        break;
      case 1:
        c.measure = Sliding{seconds(1)};
        c.counter = fmt::format("short{}", which);
        break;
      case 2:
        c.measure = Bucket::Rate{which == 0 ? std::int64_t{1} << 40 : 7,
                                 which == 1 ? Duration(hours(1)) : Duration(minutes(1))};
        if (which == 0) {
          c.most = std::int64_t{1} << 41;
          c.cost = number(std::int64_t{1} << 39);
        }
        c.counter = fmt::format("bucket{}", which);
        break;
      case 3: {
        const Instant end = std::chrono::ceil<hours>(now_ + microseconds(1));
        c.measure = Fixed{end};
        c.counter = fmt::format("fixed{} {}", which, end.time_since_epoch().count());
        break;
      }
      case 4:
        c.measure = Distinct{minutes(10)};
        c.cost = std::min<std::int64_t>(c.cost, 1);
        c.member = fmt::format("m{}", number(6));
        c.counter = fmt::format("members{}", which);
        break;
      default:
        c.measure = Greylisting{minutes(5), hours(1), hours(3), 0};
        c.cost = 1;
        c.even_if_full = true;
        c.reserve = false;
        c.warn_at = 0;
        c.counter = fmt::format("seen{}", which);
    }
    return c;
  }

  RedisServer server_;
  Clock clock_;
  StoreHealth health_;
  MemoryStore memory_;
  std::unique_ptr<RedisStore> redis_;
  Instant now_{hours(490000)};
  std::mt19937_64 random_{29};
};

TEST_F(Agreement, OfRandomCharges) {
  std::vector<std::pair<ReservationId, ReservationId>> open;
  for (int i = 0; i < 20'000; ++i) {
    now_ += number(20) == 0 ? Duration(minutes(number(90))) : Duration(microseconds(number(20'000'000)));
    std::vector<Charge> charges;
    for (std::int64_t n = number(3); n >= 0; --n) {
      Charge c = charge();
      const bool twice = std::ranges::any_of(charges, [&](const Charge& other) { return other.counter == c.counter; });
      if (!twice) charges.push_back(std::move(c));
    }
    const bool admit = number(9) > 0;
    const Readings expected = take(memory_, charges, admit);
    const Readings said = take(*redis_, charges, admit);
    ASSERT_EQ(said.readings.size(), charges.size());
    for (std::size_t k = 0; k < charges.size(); ++k) {
      const Reading& a = *expected.readings[k];
      const Reading& b = *said.readings[k];
      const bool same = a.used == b.used && a.cost == b.cost && a.fits == b.fits && a.room_at == b.room_at &&
                        a.warn == b.warn && a.sighting == b.sighting;
      ASSERT_TRUE(same) << i << ' ' << charges[k].counter << " used " << a.used << ' ' << b.used << " cost " << a.cost
                        << ' ' << b.cost << " fits " << a.fits << b.fits << " room "
                        << (a.room_at ? (*a.room_at - now_).count() : -1) << ' '
                        << (b.room_at ? (*b.room_at - now_).count() : -1) << " warn " << a.warn << b.warn;
    }
    ASSERT_EQ(expected.reservation != 0, said.reservation != 0);
    ASSERT_EQ(expected.counted, said.counted);
    if (said.reservation != 0) open.emplace_back(expected.reservation, said.reservation);
    while (open.size() > 8 || (!open.empty() && number(2) == 0)) {
      const auto which = open.begin() + number(static_cast<std::int64_t>(open.size()) - 1);
      const Settlement settlement = number(1) == 0 ? Settlement::keep : Settlement::give_back;
      settle(memory_, which->first, settlement);
      settle(*redis_, which->second, settlement);
      open.erase(which);
    }
  }
  EXPECT_TRUE(health_.state().failures.empty());
}

}  // namespace
}  // namespace replygate::test

#include "milter/store/open_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/store/redis_store.h"
#include "milter/store/sqlite_store.h"
#include "policy/count/local_share.h"

namespace replygate {
namespace {

MemoryStore::Bounds bounds_of(const StoreSettings& settings) { return {.keys = settings.max_keys}; }

std::unique_ptr<Store> in_memory(const StoreSettings& settings) {
  return std::make_unique<MemoryStore>(bounds_of(settings), MemoryStore::random_secret(), false);
}

// The shared store, and this host's share of the limits where rules want one.
class SharedStore final : public Store {
 public:
  SharedStore(std::unique_ptr<RedisStore> redis, const StoreSettings& settings)
      : redis_(std::move(redis)), share_(*redis_, std::max<std::int64_t>(settings.hosts, 1), bounds_of(settings)) {}

  ~SharedStore() override { redis_.reset(); }  // its thread uses the other

  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    share_.take(std::move(charges), admit, now, std::move(done));
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    share_.settle(std::move(ids), settlement, now, std::move(done));
  }
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
    share_.forget(std::move(counters), now, std::move(done));
  }

 private:
  std::unique_ptr<RedisStore> redis_;
  LocalShare share_;
};

tl::expected<std::unique_ptr<Store>, std::string> shared(const StoreSettings& settings, const Clock& clock,
                                                         StoreHealth& health) {
  auto redis = RedisStore::open(settings, clock, health);
  if (!redis) return tl::unexpected(fmt::format("store: {}", redis.error()));
  return std::make_unique<SharedStore>(*std::move(redis), settings);
}

}  // namespace

tl::expected<std::unique_ptr<Store>, std::string> open_store(const StoreSettings& settings, const Clock& clock,
                                                             StoreHealth& health, Duration patience) {
  if (settings.backend == StoreSettings::Backend::memory) return in_memory(settings);
  if (settings.backend == StoreSettings::Backend::redis) return shared(settings, clock, health);
  auto store = SqliteStore::open(settings, clock, health, patience);
  if (store) return *std::move(store);
  if (settings.if_unusable == StoreSettings::Unusable::stop) {
    return tl::unexpected(fmt::format(
        "store: {}; fix it, name another path, or write if_unusable = \"memory\" in [store]", store.error()));
  }
  health.failed(store.error(), "counters live in memory alone until replygate is started again");
  return in_memory(settings);
}

}  // namespace replygate

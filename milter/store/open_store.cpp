#include "milter/store/open_store.h"

#include <fmt/format.h>

#include "milter/store/sqlite_store.h"

namespace replygate {
namespace {

std::unique_ptr<Store> in_memory(const StoreSettings& settings) {
  const MemoryStore::Bounds bounds{.keys = settings.max_keys, .reservation = settings.reservation_timeout};
  return std::make_unique<MemoryStore>(bounds, MemoryStore::random_secret(), false);
}

}  // namespace

tl::expected<std::unique_ptr<Store>, std::string> open_store(const StoreSettings& settings, const Clock& clock,
                                                             StoreHealth& health, Duration patience) {
  if (settings.backend == StoreSettings::Backend::memory) return in_memory(settings);
  auto store = SqliteStore::open(settings, clock, health, patience);
  if (store) return *std::move(store);
  if (settings.if_unusable == StoreSettings::Unusable::stop) {
    return tl::unexpected(fmt::format(
        "store: {}; mend it, name another path, or write if_unusable = \"memory\" in [store]", store.error()));
  }
  health.failed(store.error(), "counters live in memory alone until replygate is started again");
  return in_memory(settings);
}

}  // namespace replygate

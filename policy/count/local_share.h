#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "policy/count/store_memory.h"

namespace replygate {

// A shared store, and this host's share for the time when it cannot be asked: charges whose rule says so
// (Charge::local) are then counted here. A host admits its part of the limit, less what it has admitted before, and
// never more than its part of what the limit leaves, as far as it has seen the limit used by all. Once the shared store
// answers again it is told what was counted here. Any thread.
class LocalShare final : public Store {
 public:
  // `shared` outlives it; `hosts`: how many share the limits.
  LocalShare(Store& shared, std::int64_t hosts, const MemoryStore::Bounds& bounds);

  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override;
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override;
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override;

  std::size_t to_be_told() const;  // counts that the shared store has not heard of

 private:
  void remember(const std::vector<Charge>& charges, const Readings& readings, Instant now);
  Readings take_here(const std::vector<Charge>& charges, bool admit, Instant now);
  void ask(std::vector<Charge> charges, bool admit, Instant now, Taken done);
  std::vector<Charge> to_tell();
  void note(Charge charge);

  Store& shared_;
  const std::int64_t hosts_;
  MemoryStore seen_;  // what all have used, as far as this host has seen it
  MemoryStore mine_;  // what of that was by this host
  MemoryStore own_;   // what this host has admitted by itself, an outage apart
  std::atomic<std::uint64_t> outage_{1};
  std::atomic<bool> away_{false};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  boost::unordered_flat_map<ReservationId, std::vector<Charge>> held_;
  boost::unordered_flat_map<std::string, Charge> untold_;  // by counter and member
};

}  // namespace replygate

#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <mutex>
#include <vector>

#include "policy/count/counter.h"
#include "policy/count/store.h"

namespace replygate {

// The reference store: exact, in this process, gone with it. take() completes before it returns. Any thread.
// Counters are found by a keyed 128-bit hash, so that nobody outside can make two keys collide.
class MemoryStore final : public Store {
 public:
  MemoryStore();

  void take(std::vector<Charge> charges, bool admit, Instant now, Duration patience, Taken done) override;
  void settle(ReservationId id, Settlement settlement, Instant now) override;

  std::size_t counters() const;      // kept at present, idle ones included
  std::size_t reservations() const;  // not yet settled

 private:
  using Key = std::array<std::uint64_t, 2>;
  struct KeyHash {
    using is_avalanching = void;
    std::size_t operator()(const Key& key) const { return key[0]; }
  };
  struct Held {
    Key key;
    Counter::Hold hold;
  };

  Key key_of(std::string_view text) const;
  DistinctWindow::Member member_of(const Charge& charge) const;
  Readings take_locked(const std::vector<Charge>& charges, bool admit, Instant now);
  Reading read(const Charge& charge, const Key& key, Instant now) const;
  void charge(const Charge& charge, const Key& key, Instant now, Reading& reading, std::vector<Held>& held);
  void sweep(Instant now);

  // Constant after construction.
  std::array<unsigned char, 16> secret_{};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  boost::unordered_flat_map<Key, Counter, KeyHash> counters_;
  boost::unordered_flat_map<ReservationId, std::vector<Held>> held_;
  ReservationId last_id_ = 0;
  std::size_t sweep_at_ = 1024;
};

}  // namespace replygate

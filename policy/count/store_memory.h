#pragma once

#include <array>
#include <atomic>
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "policy/count/key_table.h"
#include "policy/count/store.h"

namespace replygate {

// Counters in this process: exact, gone with it unless somebody saves what changes. take() and settle() complete before
// they return. Any thread. Counters are found by a keyed 128-bit hash, so that nobody outside can make two keys
// collide, and spread over shards with a lock each; a decision locks those that it touches, in one order.
class MemoryStore final : public Store {
 public:
  using Secret = std::array<unsigned char, 16>;
  struct Bounds {
    std::int64_t keys = 1'000'000;  // counters with reservations may exceed it
  };
  // What has become of a counter since it was last asked for.
  struct Change {
    CounterKey key;
    std::string state;  // of Counter::save(); "": it is gone
  };

  explicit MemoryStore() : MemoryStore(Bounds{}, random_secret(), false) {}
  // With `saved`, changes are listed for changes().
  MemoryStore(const Bounds& bounds, const Secret& secret, bool saved);
  static Secret random_secret();
  const Secret& secret() const { return secret_; }

  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override;
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override;

  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override;

  bool take_at_once(std::span<const Charge> charges, bool admit, Instant now, Readings& answer) override;
  bool settle_at_once(std::span<const ReservationId> ids, Settlement settlement, Instant now) override;

  // Readings of take(), at once.
  Readings take_now(const std::vector<Charge>& charges, bool admit, Instant now);
  void settle_now(const std::vector<ReservationId>& ids, Settlement settlement, Instant now);

  // Adds to `changes` what changed in one shard since the last call; those that are idle at `now` count as gone. Times
  // are written as clocks show that are `shift` ahead.
  static constexpr std::size_t kShards = 64;
  void changes(std::size_t shard, Instant now, Duration shift, std::vector<Change>& changes);
  // What could not be saved is listed again, unless it has changed since.
  void list_again(const std::vector<Change>& changes);
  void list_all();
  // Puts a saved counter in its place. Before the first take(). False where it has no room.
  bool restore(const CounterKey& key, Counter&& counter);
  // Before that: has room for so many ready, and what one of them is put into near at hand.
  void expect(std::size_t counters);
  void prefetch(const CounterKey& key) const { (*shards_)[shard_of(key)].table.prefetch(key); }

  std::size_t counters() const;      // kept at present, idle ones included
  std::size_t reservations() const;  // not yet settled
  std::int64_t evictions() const { return evictions_; }

 private:
  struct Item {
    CounterKey key;
    Counter::Reserved reserved;
    KeyTable::Entry* place = nullptr;  // where its counter was
    bool returned = false;             // since its counter was forgotten
  };
  struct Reservation {
    boost::container::small_vector<Item, 2> items;
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    // Guarded by mutex.
    KeyTable table;
    std::vector<CounterKey> changed;
    boost::unordered_flat_map<ReservationId, Reservation> reservations;  // whose counters are here or further on
    std::uint64_t last_id = 0;
  };
  struct Decision;
  class Locks;

  static std::size_t shard_of(const CounterKey& key) { return key[1] % kShards; }
  static std::size_t shard_of(ReservationId id) { return id % kShards; }
  CounterKey key_of(std::string_view text) const;
  CounterKey nth_key(const std::string& text, std::size_t nth) const;
  Shard& shard_with(const CounterKey& key) { return (*shards_)[shard_of(key)]; }
  void find_all(Decision& d);
  static Counter* counter_of(const Decision& d, std::size_t i);
  void look(Decision& d);
  void carry_over(const Charge& charge, CounterKey& key, Instant now);
  void charge(Decision& d, std::size_t i);
  void hold(Decision& d);
  void take_back(const Decision& d) noexcept;
  void tell_room(Decision& d);
  KeyTable::Entry& entry_for(Decision& d, std::size_t i);
  KeyTable::Entry& add_entry(const Measure& measure, const CounterKey& key, Instant now, std::int64_t& evicted);
  void make_room(Shard& shard, Instant now, std::int64_t& evicted);
  void drop(Shard& shard, KeyTable::Entry& entry);
  void note_change(Shard& shard, KeyTable::Entry& entry);
  std::vector<Counter::Reserved> return_reserved(const CounterKey& key);
  void give_back(const Item& item, Instant now) noexcept;
  void give_back_from(const Reservation& reservation, std::size_t first, Instant now) noexcept;
  void keep(const Item& item, Instant now);
  void settle_reserved(const Reservation& reservation, Settlement settlement, Instant now);

  const Secret secret_;
  const std::size_t keys_of_shard_;
  const bool saved_;
  std::unique_ptr<std::array<Shard, kShards>> shards_;
  std::atomic<std::int64_t> evictions_{0};
};

}  // namespace replygate

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "policy/count/counter.h"

namespace replygate {

// A keyed hash of a counter's identity. Never all 0.
using CounterKey = std::array<std::uint64_t, 2>;

// Counters by their keys: an open-addressing index over entries that stay where they are. Grows as needed, in small
// steps. Without a lock.
class KeyTable {
 public:
  struct Entry {
    CounterKey key{};  // all 0: unused
    Counter counter;
  };

  Entry* find(const CounterKey& key);  // null: there is none
  const Entry* find(const CounterKey& key) const { return const_cast<KeyTable*>(this)->find(key); }
  // The key must not be there yet. The entry stays where it is until it is erased.
  Entry& insert(const CounterKey& key, Counter counter);
  void erase(Entry& entry);
  std::size_t size() const { return size_; }

  // Goes round over all places, used or not, one a call; null where the place is unused.
  Entry* look_on();
  std::size_t places() const { return chunks_.size() * kChunk; }

 private:
  static constexpr std::size_t kChunk = 64;
  using Chunk = std::array<Entry, kChunk>;
  struct Slot {
    std::uint32_t tag = 0;     // the high half of the key's first word; tells its place, too
    std::uint32_t number = 0;  // of the entry, from 1; 0: free
  };

  static std::uint32_t tag_of(const CounterKey& key) { return static_cast<std::uint32_t>(key[0] >> 32); }
  Entry& entry(std::uint32_t number) { return (*chunks_[(number - 1) / kChunk])[(number - 1) % kChunk]; }
  std::size_t slot_of(const CounterKey& key);  // of a key that is there, else the free one where the search ends
  void put(Slot slot);
  void grow();
  std::uint32_t unused_entry();

  std::vector<Slot> index_;  // a power of two; at most three quarters are taken
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::uint32_t> unused_;
  std::size_t size_ = 0;
  std::size_t hand_ = 0;
};

}  // namespace replygate

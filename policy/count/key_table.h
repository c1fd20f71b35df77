#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "policy/count/counter.h"
#include "policy/count/piece_memory.h"

namespace replygate {

// A keyed hash of a counter's identity. The first word is never 0.
using CounterKey = std::array<std::uint64_t, 2>;

// Counters by their keys: an open-addressing index of 4 octets a place over entries of 64 that stay where they are,
// each in one line of the cache. Grows as needed, in small steps. Without a lock.
class KeyTable {
 public:
  struct alignas(64) Entry {
    CounterKey key{};  // {0, number of the next unused entry}: unused
    Counter counter;
  };

  KeyTable() : memory_(std::make_shared<PieceMemory>()) {}
  ~KeyTable();
  KeyTable(KeyTable&&) = delete;
  KeyTable& operator=(KeyTable&&) = delete;

  // Takes its memory from there, with others. Before anything else.
  void share(std::shared_ptr<PieceMemory> memory) { memory_ = std::move(memory); }

  Entry* find(const CounterKey& key);  // null: there is none
  const Entry* find(const CounterKey& key) const { return const_cast<KeyTable*>(this)->find(key); }
  // The key must not be there yet. The entry stays where it is until it is erased.
  Entry& insert(const CounterKey& key, Counter&& counter);
  void erase(Entry& entry) noexcept;
  std::size_t size() const { return size_; }

  // Has its index ready for so many.
  void expect(std::size_t keys);
  // Gets what a find() looks at first into the cache.
  void prefetch(const CounterKey& key) const {
    if (!index_.empty()) __builtin_prefetch(&index_[home_of(key)]);
  }

  // Goes round over all places, used or not, one a call; null where the place is unused.
  Entry* look_on();
  std::size_t places() const { return chunks_.size() * kChunk; }

 private:
  static constexpr std::size_t kChunk = PieceMemory::kPiece / sizeof(Entry);
  using Chunk = std::array<Entry, kChunk>;
  static_assert(sizeof(Chunk) == PieceMemory::kPiece);
  // The number of an entry, from 1, in the low bits that can count all; above them those of the key's low half. 0:
  // free.
  using Slot = std::uint32_t;

  std::size_t home_of(const CounterKey& key) const { return (key[0] >> 32) & (index_.size() - 1); }
  Slot tag_of(const CounterKey& key) const { return static_cast<Slot>(key[0]) & ~number_bits_; }
  std::uint32_t number_of(Slot slot) const { return slot & number_bits_; }
  Entry& entry(std::uint32_t number) { return (*chunks_[(number - 1) / kChunk])[(number - 1) % kChunk]; }
  std::size_t slot_of(const CounterKey& key);  // of a key that is there, else the free one where the search ends
  void put(const CounterKey& key, std::uint32_t number);
  void resize_index(std::size_t slots);
  void add_chunk();

  std::shared_ptr<PieceMemory> memory_;
  std::span<Slot> index_;  // a power of two; at most three quarters are taken
  std::uint32_t number_bits_ = 0;
  std::uint32_t unused_ = 0;  // the first unused entry; 0: there is none
  std::vector<Chunk*> chunks_;
  std::size_t size_ = 0;
  std::size_t hand_ = 0;
};

static_assert(sizeof(KeyTable::Entry) == 64);

}  // namespace replygate

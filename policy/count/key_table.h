#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "policy/count/counter.h"
#include "policy/count/index_line.h"
#include "policy/count/piece_memory.h"

namespace replygate {

// A keyed hash of a counter's identity. The first word is never 0.
using CounterKey = std::array<std::uint64_t, 2>;

// Counters by their keys: an index of 4 octets a place over entries of 64 that stay where they are, each in one line of
// the cache. Grows as needed, in small steps. Without a lock.
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
  // The same, where it may be the one at `place`, which was found or made in this table at some time.
  Entry* find(const CounterKey& key, Entry* place) { return place != nullptr && place->key == key ? place : find(key); }
  // The key must not be there yet. The entry stays where it is until it is erased.
  Entry& insert(const CounterKey& key, Counter&& counter);
  void erase(Entry& entry) noexcept;
  std::size_t size() const { return size_; }

  // Has its index ready for so many.
  void expect(std::size_t keys);
  // Gets what a find() looks at first into the cache.
  void prefetch(const CounterKey& key) const {
    if (lines_ > 0) __builtin_prefetch(&line(home_of(key)));
  }

  // Goes round over all places, used or not, one a call; null where the place is unused.
  Entry* look_on();
  std::size_t places() const { return chunks_.size() * kChunk; }

 private:
  static constexpr std::size_t kChunk = PieceMemory::kPiece / sizeof(Entry);
  using Chunk = std::array<Entry, kChunk>;
  static_assert(sizeof(Chunk) == PieceMemory::kPiece);
  // A slot is the number of an entry, from 1, in the low bits that can count all; above them are those of the key's low
  // half, and the highest is set.
  using Slot = IndexLine::Slot;
  static constexpr std::size_t kLines = 16;  // of one piece of the index
  using Lines = std::array<IndexLine, kLines>;

  // The line in which the search for a key begins; it goes on to the next one as long as keys have passed.
  std::size_t home_of(const CounterKey& key) const { return ((key[0] >> 32) * lines_) >> 32; }
  std::size_t behind(std::size_t at) const { return at + 1 == lines_ ? 0 : at + 1; }
  Slot tag_of(const CounterKey& key) const { return (static_cast<Slot>(key[0]) & ~number_bits_) | ~(~Slot{0} >> 1); }
  std::uint32_t number_of(Slot slot) const { return slot & number_bits_; }
  IndexLine& line(std::size_t at) const { return (*index_[at / kLines])[at % kLines]; }
  Entry& entry(std::uint32_t number) { return (*chunks_[(number - 1) / kChunk])[(number - 1) % kChunk]; }
  void put(const CounterKey& key, std::uint32_t number);
  std::uint32_t take_out(const CounterKey& key);  // one that is there; gives its number
  void grow_index(std::size_t keys);
  void add_chunk();

  std::shared_ptr<PieceMemory> memory_;
  std::vector<Lines*> index_;
  std::size_t lines_ = 0;
  std::uint32_t number_bits_ = 0;
  std::uint32_t unused_ = 0;  // the first unused entry; 0: there is none
  std::vector<Chunk*> chunks_;
  std::size_t size_ = 0;
  std::size_t most_ = 0;  // keys that the index has room for
  std::size_t hand_ = 0;
};

static_assert(sizeof(KeyTable::Entry) == 64);

}  // namespace replygate

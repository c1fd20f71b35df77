#include "policy/count/key_table.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace replygate {
namespace {

constexpr std::size_t kFirstSlots = 256;

}  // namespace

KeyTable::~KeyTable() {
  for (Chunk* chunk : chunks_) {
    std::destroy_at(chunk);
    memory_->give_back(chunk, sizeof(Chunk));
  }
  memory_->give_back(index_.data(), index_.size_bytes());
}

std::size_t KeyTable::slot_of(const CounterKey& key) {
  const std::size_t mask = index_.size() - 1;
  const Slot tag = tag_of(key);
  std::size_t at = home_of(key);
  for (; index_[at] != 0; at = (at + 1) & mask) {
    if ((index_[at] & ~number_bits_) == tag && entry(number_of(index_[at])).key == key) break;
  }
  return at;
}

KeyTable::Entry* KeyTable::find(const CounterKey& key) {
  if (index_.empty()) return nullptr;
  const std::uint32_t number = number_of(index_[slot_of(key)]);
  return number == 0 ? nullptr : &entry(number);
}

void KeyTable::put(const CounterKey& key, std::uint32_t number) {
  const std::size_t mask = index_.size() - 1;
  std::size_t at = home_of(key);
  while (index_[at] != 0) at = (at + 1) & mask;
  index_[at] = tag_of(key) | number;
}

// The old index can go before the new one is filled, since the keys are in the entries. Numbers have a bit more than
// places have: there are fewer entries than slots, save for a chunk.
void KeyTable::resize_index(std::size_t slots) {
  const std::span<Slot> fresh(static_cast<Slot*>(memory_->take(slots * sizeof(Slot))), slots);
  std::ranges::fill(fresh, 0);
  const std::span<Slot> before = std::exchange(index_, fresh);
  number_bits_ = static_cast<std::uint32_t>(slots * 2 - 1);
  if (!before.empty()) memory_->give_back(before.data(), before.size_bytes());
  for (std::uint32_t number = 1; number <= places(); ++number) {
    const CounterKey& key = entry(number).key;
    if (key[0] != 0) put(key, number);
  }
}

void KeyTable::expect(std::size_t keys) {
  const std::size_t slots = std::max(kFirstSlots, std::bit_ceil(keys * 4 / 3 + 1));
  if (slots > index_.size()) resize_index(slots);
}

void KeyTable::add_chunk() {
  if (chunks_.size() == chunks_.capacity()) chunks_.reserve(chunks_.size() * 9 / 8 + 8);
  chunks_.push_back(new (memory_->take(sizeof(Chunk))) Chunk);
  const auto last = static_cast<std::uint32_t>(places());
  for (std::uint32_t i = 0; i < kChunk; ++i) {
    entry(last - i).key[1] = unused_;
    unused_ = last - i;
  }
}

KeyTable::Entry& KeyTable::insert(const CounterKey& key, Counter&& counter) {
  if ((size_ + 1) * 4 > index_.size() * 3) resize_index(std::max(kFirstSlots, index_.size() * 2));
  if (unused_ == 0) add_chunk();
  const std::uint32_t number = unused_;
  Entry& e = entry(number);
  unused_ = static_cast<std::uint32_t>(e.key[1]);
  e.key = key;
  e.counter = std::move(counter);
  put(key, number);
  ++size_;
  return e;
}

// Those behind the hole whose search would end at it move up.
void KeyTable::erase(Entry& gone) noexcept {
  const std::size_t mask = index_.size() - 1;
  std::size_t hole = slot_of(gone.key);
  const std::uint32_t number = number_of(index_[hole]);
  gone = {};
  gone.key[1] = std::exchange(unused_, number);
  for (std::size_t at = (hole + 1) & mask; index_[at] != 0; at = (at + 1) & mask) {
    const std::size_t home = home_of(entry(number_of(index_[at])).key);
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    index_[hole] = index_[at];
    hole = at;
  }
  index_[hole] = 0;
  --size_;
}

KeyTable::Entry* KeyTable::look_on() {
  if (chunks_.empty()) return nullptr;
  if (++hand_ >= places()) hand_ = 0;
  Entry& e = entry(static_cast<std::uint32_t>(hand_ + 1));
  return e.key[0] == 0 ? nullptr : &e;
}

}  // namespace replygate

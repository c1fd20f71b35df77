#include "policy/count/key_table.h"

#include <utility>

namespace replygate {

std::size_t KeyTable::slot_of(const CounterKey& key) {
  const std::size_t mask = index_.size() - 1;
  std::size_t at = tag_of(key) & mask;
  while (index_[at].number != 0 && (index_[at].tag != tag_of(key) || entry(index_[at].number).key != key)) {
    at = (at + 1) & mask;
  }
  return at;
}

KeyTable::Entry* KeyTable::find(const CounterKey& key) {
  if (index_.empty()) return nullptr;
  const std::uint32_t number = index_[slot_of(key)].number;
  return number == 0 ? nullptr : &entry(number);
}

void KeyTable::put(Slot slot) {
  const std::size_t mask = index_.size() - 1;
  std::size_t at = slot.tag & mask;
  while (index_[at].number != 0) at = (at + 1) & mask;
  index_[at] = slot;
}

void KeyTable::grow() {
  const std::vector<Slot> before = std::exchange(index_, std::vector<Slot>(index_.empty() ? 16 : index_.size() * 2));
  for (const Slot& slot : before) {
    if (slot.number != 0) put(slot);
  }
}

std::uint32_t KeyTable::unused_entry() {
  if (unused_.empty()) {
    chunks_.push_back(std::make_unique<Chunk>());
    const auto last = static_cast<std::uint32_t>(places());
    for (std::uint32_t i = 0; i < kChunk; ++i) unused_.push_back(last - i);
  }
  const std::uint32_t number = unused_.back();
  unused_.pop_back();
  return number;
}

KeyTable::Entry& KeyTable::insert(const CounterKey& key, Counter counter) {
  if ((size_ + 1) * 4 > index_.size() * 3) grow();
  const std::uint32_t number = unused_entry();
  Entry& e = entry(number);
  e.key = key;
  e.counter = std::move(counter);
  put({tag_of(key), number});
  ++size_;
  return e;
}

// Those behind the hole whose search would end at it move up.
void KeyTable::erase(Entry& gone) {
  const std::size_t mask = index_.size() - 1;
  std::size_t hole = slot_of(gone.key);
  unused_.push_back(index_[hole].number);
  gone = {};
  for (std::size_t at = (hole + 1) & mask; index_[at].number != 0; at = (at + 1) & mask) {
    const std::size_t home = index_[at].tag & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    index_[hole] = index_[at];
    hole = at;
  }
  index_[hole] = {};
  --size_;
}

KeyTable::Entry* KeyTable::look_on() {
  if (chunks_.empty()) return nullptr;
  hand_ = (hand_ + 1) % places();
  Entry& e = (*chunks_[hand_ / kChunk])[hand_ % kChunk];
  return e.key == CounterKey{} ? nullptr : &e;
}

}  // namespace replygate

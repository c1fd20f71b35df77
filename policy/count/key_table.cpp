#include "policy/count/key_table.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace replygate {
namespace {

// Seven eighths of the slots are taken at the most: few keys pass a line then.
constexpr std::size_t room_of(std::size_t lines) { return lines * IndexLine::kSlots * 7 / 8; }

}  // namespace

KeyTable::~KeyTable() {
  for (Chunk* chunk : chunks_) {
    std::destroy_at(chunk);
    memory_->give_back(chunk, sizeof(Chunk));
  }
  for (Lines* lines : index_) memory_->give_back(lines, sizeof(Lines));
}

KeyTable::Entry* KeyTable::find(const CounterKey& key) {
  const Slot tag = tag_of(key);
  std::size_t at = home_of(key);
  for (std::size_t left = lines_; left > 0; --left, at = behind(at)) {
    const IndexLine& l = line(at);
    for (unsigned same = l.equal(~number_bits_, tag); same != 0; same &= same - 1) {
      Entry& e = entry(number_of(l.slots[static_cast<std::size_t>(std::countr_zero(same))]));
      if (e.key == key) return &e;
    }
    if (l.passed == 0) return nullptr;
  }
  return nullptr;
}

void KeyTable::put(const CounterKey& key, std::uint32_t number) {
  std::size_t at = home_of(key);
  for (; line(at).free() == 0; at = behind(at)) ++line(at).passed;
  IndexLine& l = line(at);
  l.slots[static_cast<std::size_t>(std::countr_zero(l.free()))] = tag_of(key) | number;
}

std::uint32_t KeyTable::take_out(const CounterKey& key) {
  const Slot tag = tag_of(key);
  for (std::size_t at = home_of(key);; at = behind(at)) {
    IndexLine& l = line(at);
    for (unsigned same = l.equal(~number_bits_, tag); same != 0; same &= same - 1) {
      Slot& slot = l.slots[static_cast<std::size_t>(std::countr_zero(same))];
      if (entry(number_of(slot)).key == key) return number_of(std::exchange(slot, 0));
    }
    --l.passed;
  }
}

// The index is filled anew in its place, since the keys are in the entries. Numbers have bits for all slots and for the
// places of one chunk that no key has yet.
void KeyTable::grow_index(std::size_t keys) {
  std::size_t lines = std::max(lines_, kLines);
  while (room_of(lines) < keys) lines += kLines;
  index_.reserve(lines / kLines);
  while (index_.size() * kLines < lines) {
    index_.push_back(static_cast<Lines*>(memory_->take(sizeof(Lines))));
  }
  lines_ = lines;
  most_ = room_of(lines);
  number_bits_ = static_cast<std::uint32_t>(std::bit_ceil(lines * IndexLine::kSlots + kChunk + 1) - 1);
  for (Lines* piece : index_) new (piece) Lines{};
  for (std::uint32_t number = 1; number <= places(); ++number) {
    const CounterKey& key = entry(number).key;
    if (key[0] != 0) put(key, number);
  }
}

void KeyTable::expect(std::size_t keys) {
  if (keys > most_) grow_index(keys);
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
  if (size_ >= most_) grow_index(most_ + most_ / 4 + 1);
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

void KeyTable::erase(Entry& gone) noexcept {
  const std::uint32_t number = take_out(gone.key);
  gone = {};
  gone.key[1] = std::exchange(unused_, number);
  --size_;
}

KeyTable::Entry* KeyTable::look_on() {
  if (chunks_.empty()) return nullptr;
  if (++hand_ >= places()) hand_ = 0;
  Entry& e = entry(static_cast<std::uint32_t>(hand_ + 1));
  return e.key[0] == 0 ? nullptr : &e;
}

}  // namespace replygate

// What is in the store, apart from decisions: what is saved and restored, forgotten and counted.

#include <algorithm>
#include <utility>

#include "policy/count/store_memory.h"

namespace replygate {
namespace {

template <typename Shards, typename SizeOf>
std::size_t sum_over(const Shards& shards, SizeOf size_of) {
  std::size_t sum = 0;
  for (const auto& shard : shards) {
    const std::lock_guard lock(shard.mutex);
    sum += size_of(shard);
  }
  return sum;
}

}  // namespace

void MemoryStore::drop(Shard& shard, KeyTable::Entry& e) {
  if (saved_) shard.changed.push_back(e.key);
  shard.table.erase(e);
}

void MemoryStore::note_change(Shard& shard, KeyTable::Entry& e) {
  if (!saved_ || e.counter.listed()) return;
  shard.changed.push_back(e.key);
  e.counter.list(true);
}

void MemoryStore::forget(std::vector<std::string> counters, Instant now, Forgotten done) {
  for (const std::string& counter : counters) {
    const CounterKey key = key_of(counter);
    const std::vector<Counter::Reserved> returned = return_reserved(key);
    Shard& shard = (*shards_)[shard_of(key)];
    const std::lock_guard lock(shard.mutex);
    KeyTable::Entry* e = shard.table.find(key);
    if (e == nullptr) continue;
    for (const Counter::Reserved& reserved : returned) {
      if (e->counter.is(reserved.measure)) e->counter.give_back(reserved, now);
    }
    if (!e->counter.reserved()) drop(shard, *e);
  }
  done(true);
}

// The parts that the counter has in reservations; what else they hold stays.
std::vector<Counter::Reserved> MemoryStore::return_reserved(const CounterKey& key) {
  std::vector<Counter::Reserved> found;
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto& [id, reservation] : shard.reservations) {
      for (Item& item : reservation.items) {
        if (item.key != key || std::exchange(item.returned, true)) continue;
        found.push_back(item.reserved);
      }
    }
  }
  return found;
}

void MemoryStore::changes(std::size_t number, Instant now, Duration shift, std::vector<Change>& changes) {
  Shard& shard = (*shards_)[number];
  const std::lock_guard lock(shard.mutex);
  PackedWriter out;
  for (const CounterKey& key : std::exchange(shard.changed, {})) {
    Change& change = changes.emplace_back(Change{key, {}});
    KeyTable::Entry* e = shard.table.find(key);
    if (e == nullptr) continue;
    e->counter.list(false);
    if (!e->counter.reserved() && e->counter.idle(now)) continue;
    out.clear();
    e->counter.save(out, shift);
    change.state = out.octets();
  }
}

void MemoryStore::list_all() {
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    for (std::size_t i = 0; i < shard.table.places(); ++i) {
      KeyTable::Entry* e = shard.table.look_on();
      if (e == nullptr) continue;
      e->counter.list(false);  // whoever took the list before may have lost it
      note_change(shard, *e);
    }
  }
}

void MemoryStore::list_again(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    Shard& shard = (*shards_)[shard_of(change.key)];
    const std::lock_guard lock(shard.mutex);
    KeyTable::Entry* e = shard.table.find(change.key);
    if (e != nullptr) {
      note_change(shard, *e);
    } else {
      shard.changed.push_back(change.key);
    }
  }
}

bool MemoryStore::restore(const CounterKey& key, Counter&& counter) {
  Shard& shard = (*shards_)[shard_of(key)];
  const std::lock_guard lock(shard.mutex);
  if (shard.table.size() >= keys_of_shard_ || shard.table.find(key) != nullptr) return false;
  shard.table.insert(key, std::move(counter));
  return true;
}

void MemoryStore::expect(std::size_t counters) {
  const std::size_t most = std::min(counters / kShards * 17 / 16 + 16, keys_of_shard_);  // shards differ a little
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.table.expect(most);
  }
}

std::size_t MemoryStore::counters() const {
  return sum_over(*shards_, [](const auto& shard) { return shard.table.size(); });
}

std::size_t MemoryStore::reservations() const {
  return sum_over(*shards_, [](const auto& shard) { return shard.reservations.size(); });
}

}  // namespace replygate

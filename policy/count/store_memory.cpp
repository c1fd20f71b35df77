#include "policy/count/store_memory.h"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "policy/count/admission.h"

namespace replygate {
namespace {

constexpr int kLooksForIdle = 4;  // at each new counter
constexpr std::size_t kLooksForCheap = 64;
constexpr std::size_t kLooksForLess = 1024;  // where only counters that are well used were seen

}  // namespace

// The shards of a decision, locked in ascending order.
class MemoryStore::Locks {
 public:
  Locks(std::array<Shard, kShards>& shards, std::uint64_t chosen) : shards_(shards), chosen_(chosen) {
    each([](Shard& shard) { shard.mutex.lock(); });
  }
  ~Locks() {
    each([](Shard& shard) { shard.mutex.unlock(); });
  }
  Locks(const Locks&) = delete;
  Locks& operator=(const Locks&) = delete;

  static std::uint64_t bit(const CounterKey& key) { return std::uint64_t{1} << shard_of(key); }

 private:
  template <typename Do>
  void each(Do what) {
    for (std::uint64_t rest = chosen_; rest != 0; rest &= rest - 1) {
      what(shards_[static_cast<std::size_t>(std::countr_zero(rest))]);
    }
  }

  std::array<Shard, kShards>& shards_;
  std::uint64_t chosen_;
};

// One take() under way.
struct MemoryStore::Decision {
  std::span<const Charge> charges;
  bool admit;
  Instant now;
  boost::container::small_vector<CounterKey, 4> keys;
  boost::container::small_vector<DistinctWindow::Member, 4> members;
  boost::container::small_vector<KeyTable::Entry*, 4> entries;  // null: there is none yet
  std::size_t home;                                             // the first of its shards
  Readings& result;
  Reservation reservation;
};

MemoryStore::MemoryStore(const Bounds& bounds, const Secret& secret, bool saved)
    : secret_(secret),
      keys_of_shard_(static_cast<std::size_t>(bounds.keys) / kShards + 1),
      saved_(saved),
      shards_(std::make_unique<std::array<Shard, kShards>>()) {
  static_assert(crypto_shorthash_siphashx24_BYTES == sizeof(CounterKey));
  static_assert(crypto_shorthash_siphashx24_KEYBYTES == sizeof(Secret));
  const auto memory = std::make_shared<PieceMemory>();
  for (Shard& shard : *shards_) shard.table.share(memory);
}

MemoryStore::Secret MemoryStore::random_secret() {
  if (sodium_init() < 0) std::abort();
  Secret secret;
  randombytes_buf(secret.data(), secret.size());
  return secret;
}

CounterKey MemoryStore::key_of(std::string_view text) const {
  std::array<unsigned char, sizeof(CounterKey)> hash{};
  crypto_shorthash_siphashx24(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                              secret_.data());
  CounterKey key;
  std::memcpy(key.data(), hash.data(), sizeof key);
  key[0] |= 1;  // never 0; neither shard nor place depend on this bit
  return key;
}

// The recipients of a message are counted one by one under the same names: what a thread made of the nth text of a
// decision is kept until that is another one. A cache alone, compared in full; so any thread may have its own.
CounterKey MemoryStore::nth_key(const std::string& text, std::size_t nth) const {
  constexpr std::size_t kLongest = 256;
  struct Made {
    std::string text;
    Secret secret{};
    CounterKey key{};
  };
  thread_local std::array<Made, 4> kept;
  if (nth >= kept.size() || text.size() > kLongest) return key_of(text);
  Made& made = kept[nth];
  if (made.text != text || made.secret != secret_ || made.key[0] == 0) {
    made.key[0] = 0;
    made.text = text;
    made.secret = secret_;
    made.key = key_of(text);
  }
  return made.key;
}

void MemoryStore::take(std::vector<Charge> charges, bool admit, Instant now, Taken done) {
  done(take_now(charges, admit, now));
}

void MemoryStore::settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) {
  settle_now(ids, settlement, now);
  done();
}

Readings MemoryStore::take_now(const std::vector<Charge>& charges, bool admit, Instant now) {
  Readings readings;
  take_at_once(charges, admit, now, readings);
  return readings;
}

bool MemoryStore::take_at_once(std::span<const Charge> charges, bool admit, Instant now, Readings& answer) {
  answer.readings.clear();
  answer.reservation = 0;
  answer.evicted = 0;
  answer.counted = false;
  Decision d{.charges = charges,
             .admit = admit,
             .now = now,
             .keys = {},
             .members = {},
             .entries = {},
             .home = 0,
             .result = answer,
             .reservation = {}};
  std::uint64_t chosen = 0;
  for (const Charge& c : charges) {
    d.keys.push_back(nth_key(c.counter, d.keys.size()));
    d.members.push_back(c.member.empty() ? 0 : key_of(c.member)[1]);
    chosen |= Locks::bit(d.keys.back());
    if (!c.was.empty()) chosen |= Locks::bit(key_of(c.was));
  }
  if (chosen == 0) return true;
  d.home = static_cast<std::size_t>(std::countr_zero(chosen));
  d.reservation.items.reserve(charges.size());
  const Locks locks(*shards_, chosen);
  if (d.keys.size() > 1) {
    for (const CounterKey& key : d.keys) shard_with(key).table.prefetch(key);
  }
  try {
    find_all(d);
    look(d);
    for (std::size_t i = 0; i < charges.size(); ++i) charge(d, i);
    tell_room(d);
    hold(d);
  } catch (...) {
    take_back(d);
    throw;
  }
  return true;
}

void MemoryStore::hold(Decision& d) {
  if (d.reservation.items.empty()) return;
  Shard& shard = (*shards_)[d.home];
  const ReservationId id = ++shard.last_id * kShards + d.home;
  shard.reservations.try_emplace(id).first->second = std::move(d.reservation);
  d.result.reservation = id;
}

// What a decision that failed has reserved. What it has counted for good was tried, and stays.
void MemoryStore::take_back(const Decision& d) noexcept {
  for (const Item& item : d.reservation.items) give_back(item, d.now);
}

// Before anything else, so that the waits for memory are one.
void MemoryStore::find_all(Decision& d) {
  d.entries.resize(d.keys.size());
  for (std::size_t i = 0; i < d.keys.size(); ++i) d.entries[i] = shard_with(d.keys[i]).table.find(d.keys[i]);
}

void MemoryStore::look(Decision& d) {
  d.result.readings.reserve(d.charges.size());
  for (std::size_t i = 0; i < d.charges.size(); ++i) {
    const Charge& c = d.charges[i];
    if (!c.was.empty() && d.entries[i] == nullptr) {
      carry_over(c, d.keys[i], d.now);
      find_all(d);
    }
    const Counter* counter = counter_of(d, i);
    d.result.readings.emplace_back(counter != nullptr ? counter->read(c, d.members[i], d.now)
                                                      : Counter(c.measure).read(c, d.members[i], d.now));
  }
}

// Null where nothing is counted yet, or something else.
Counter* MemoryStore::counter_of(const Decision& d, std::size_t i) {
  KeyTable::Entry* e = d.entries[i];
  return e != nullptr && e->counter.is(d.charges[i].measure) ? &e->counter : nullptr;
}

// Behind the charges, since what counts though there is no room takes room all the same.
void MemoryStore::tell_room(Decision& d) {
  if (std::ranges::all_of(d.result.readings, [](const auto& reading) { return reading->fits; })) return;
  for (std::size_t i = 0; i < d.charges.size(); ++i) {
    const Charge& c = d.charges[i];
    if (d.result.readings[i]->fits && !c.even_if_full) continue;
    const Counter* counter = counter_of(d, i);
    d.result.readings[i]->room_at = counter != nullptr ? counter->room_at(c, d.members[i], d.now)
                                                       : Counter(c.measure).room_at(c, d.members[i], d.now);
  }
}

// What was reserved under the old name is settled there; until then that counter serves for the new one.
void MemoryStore::carry_over(const Charge& c, CounterKey& key, Instant now) {
  Shard& shard = shard_with(key);
  const CounterKey old_key = key_of(c.was);
  Shard& old_shard = shard_with(old_key);
  KeyTable::Entry* old = old_shard.table.find(old_key);
  if (old == nullptr || !old->counter.is(c.measure)) return;
  if (old->counter.reserved()) {
    key = old_key;
    return;
  }
  Counter counter = std::move(old->counter);
  drop(old_shard, *old);
  counter.list(false);
  if (!counter.idle(now)) note_change(shard, shard.table.insert(key, std::move(counter)));
}

void MemoryStore::charge(Decision& d, std::size_t i) {
  const Charge& c = d.charges[i];
  if (!is_charged(d.charges, d.result.readings, d.admit, i)) return;
  KeyTable::Entry& e = entry_for(d, i);
  Reading& reading = *d.result.readings[i];
  const bool warns = c.warn_at > 0 && reading.used + reading.cost >= c.warn_at;
  if (!c.reserve || warns) note_change(shard_with(e.key), e);
  if (c.reserve) {
    d.reservation.items.push_back({d.keys[i], e.counter.reserve(c, d.members[i], d.now), &e});
  } else {
    e.counter.add(c, d.members[i], d.now);
  }
  if (warns) reading.warn = e.counter.warn(c.measure, d.now);
  d.result.counted = d.result.counted || !c.reserve || reading.warn;
}

// What makes room for a new one may be another of the decision's own.
KeyTable::Entry& MemoryStore::entry_for(Decision& d, std::size_t i) {
  const Measure& measure = d.charges[i].measure;
  if (KeyTable::Entry* e = d.entries[i]) {
    if (!e->counter.is(measure)) e->counter = Counter(measure);
    return *e;
  }
  KeyTable::Entry& e = add_entry(measure, d.keys[i], d.now, d.result.evicted);
  if (d.entries.size() > 1) find_all(d);
  d.entries[i] = &e;
  return e;
}

KeyTable::Entry& MemoryStore::add_entry(const Measure& measure, const CounterKey& key, Instant now,
                                        std::int64_t& evicted) {
  Shard& shard = shard_with(key);
  for (int i = 0; i < kLooksForIdle; ++i) {
    KeyTable::Entry* e = shard.table.look_on();
    if (e != nullptr && e->counter.idle(now)) drop(shard, *e);
  }
  if (shard.table.size() >= keys_of_shard_) make_room(shard, now, evicted);
  return shard.table.insert(key, Counter(measure));
}

// What came once and never again goes before what comes often or is near its limit.
void MemoryStore::make_room(Shard& shard, Instant now, std::int64_t& evicted) {
  KeyTable::Entry* least = nullptr;
  std::size_t seen = 0;
  for (std::size_t place = 0; place < shard.table.places() && seen < kLooksForLess; ++place) {
    if (seen >= kLooksForCheap && !least->counter.well_used()) break;
    KeyTable::Entry* e = shard.table.look_on();
    if (e == nullptr || e->counter.reserved()) continue;
    ++seen;
    if (e->counter.idle(now)) return drop(shard, *e);
    if (least == nullptr || e->counter.worth() < least->counter.worth()) least = e;
    if (least->counter.came_once()) break;
  }
  if (least == nullptr) return;
  ++evicted;
  ++evictions_;
  drop(shard, *least);
}

void MemoryStore::settle_now(const std::vector<ReservationId>& ids, Settlement settlement, Instant now) {
  settle_at_once(ids, settlement, now);
}

// The shard of a reservation is the first of those of its counters, so that it is locked before the others.
bool MemoryStore::settle_at_once(std::span<const ReservationId> ids, Settlement settlement, Instant now) {
  for (const ReservationId id : ids) {
    if (id == 0) continue;
    Shard& shard = (*shards_)[shard_of(id)];
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.reservations.find(id);
    if (it == shard.reservations.end()) continue;
    const Reservation reservation = std::move(it->second);
    shard.reservations.erase(it);
    std::uint64_t others = 0;
    for (const Item& item : reservation.items) others |= Locks::bit(item.key);
    const Locks locks(*shards_, others & ~(std::uint64_t{1} << shard_of(id)));
    settle_reserved(reservation, settlement, now);
  }
  return true;
}

void MemoryStore::settle_reserved(const Reservation& reservation, Settlement settlement, Instant now) {
  if (settlement == Settlement::give_back) return give_back_from(reservation, 0, now);
  for (std::size_t kept = 0; kept < reservation.items.size(); ++kept) {
    try {
      keep(reservation.items[kept], now);
    } catch (const std::bad_alloc&) {
      give_back_from(reservation, kept + 1, now);
      throw;
    }
  }
}

void MemoryStore::give_back_from(const Reservation& reservation, std::size_t first, Instant now) noexcept {
  for (std::size_t i = first; i < reservation.items.size(); ++i) {
    if (!reservation.items[i].returned) give_back(reservation.items[i], now);
  }
}

void MemoryStore::give_back(const Item& item, Instant now) noexcept {
  KeyTable::Entry* e = shard_with(item.key).table.find(item.key, item.place);
  if (e != nullptr && e->counter.is(item.reserved.measure)) e->counter.give_back(item.reserved, now);
}

// Room for what is kept may be wanting for a moment; that it is kept was promised.
void MemoryStore::keep(const Item& item, Instant now) {
  const Measure& measure = item.reserved.measure;
  Shard& shard = shard_with(item.key);
  KeyTable::Entry* e = shard.table.find(item.key, item.place);
  const bool same = e != nullptr && e->counter.is(measure);
  if (same && !item.returned) e->counter.give_back(item.reserved, now);
  for (int attempt = 1;; ++attempt) {
    try {
      std::int64_t evicted = 0;
      if (e == nullptr) e = &add_entry(measure, item.key, now, evicted);
      if (!e->counter.is(measure)) e->counter = Counter(measure);
      note_change(shard, *e);
      return e->counter.keep(item.reserved, now);
    } catch (const std::bad_alloc&) {
      if (attempt == 2) throw;
    }
  }
}

}  // namespace replygate

#include "policy/count/store_memory.h"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace replygate {

MemoryStore::MemoryStore() {
  static_assert(crypto_shorthash_siphashx24_BYTES == sizeof(Key));
  static_assert(crypto_shorthash_siphashx24_KEYBYTES == sizeof(secret_));
  if (sodium_init() < 0) std::abort();
  randombytes_buf(secret_.data(), secret_.size());
}

MemoryStore::Key MemoryStore::key_of(const std::string& counter) const {
  std::array<unsigned char, sizeof(Key)> hash{};
  crypto_shorthash_siphashx24(hash.data(), reinterpret_cast<const unsigned char*>(counter.data()), counter.size(),
                              secret_.data());
  Key key;
  std::memcpy(key.data(), hash.data(), sizeof key);
  return key;
}

void MemoryStore::take(std::vector<Charge> charges, bool admit, Instant now, Duration /*patience*/, Taken done) {
  Readings readings;
  {
    const std::lock_guard lock(mutex_);
    readings = take_locked(charges, admit, now);
  }
  done(std::move(readings));
}

Readings MemoryStore::take_locked(const std::vector<Charge>& charges, bool admit, Instant now) {
  if (counters_.size() >= sweep_at_) sweep(now);
  Readings result{.available = true, .readings = {}, .reservation = 0};
  result.readings.reserve(charges.size());
  const Window untouched;
  std::vector<Key> keys;
  keys.reserve(charges.size());
  for (const Charge& c : charges) {
    keys.push_back(key_of(c.counter));
    const auto it = counters_.find(keys.back());
    const Window& window = it == counters_.end() ? untouched : it->second.window;
    const std::int64_t used = window.used(now, c.period);
    const bool fits = used + c.cost <= c.most;
    result.readings.push_back({used, fits, fits ? std::optional(now) : window.room_at(c.cost, c.most, now, c.period)});
  }
  const auto group_fits = [&](std::uint32_t group) {
    for (std::size_t i = 0; i < charges.size(); ++i) {
      if (charges[i].group == group && !result.readings[i].fits) return false;
    }
    return true;
  };
  std::vector<Held> held;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (charges[i].even_if_full || (admit && group_fits(charges[i].group))) charge(charges[i], keys[i], now, held);
  }
  if (!held.empty()) {
    result.reservation = ++last_id_;
    held_.emplace(result.reservation, std::move(held));
  }
  return result;
}

void MemoryStore::charge(const Charge& c, const Key& key, Instant now, std::vector<Held>& held) {
  Counter& counter = counters_[key];
  counter.period = c.period;
  if (c.reserve) {
    counter.window.reserve(c.cost);
    held.push_back({key, c.cost});
  } else {
    counter.window.add(c.cost, now, c.period);
  }
}

void MemoryStore::settle(ReservationId id, Settlement settlement, Instant now) {
  if (id == 0) return;
  const std::lock_guard lock(mutex_);
  const auto it = held_.find(id);
  if (it == held_.end()) return;
  for (const Held& held : it->second) {
    Counter& counter = counters_.at(held.key);  // a counter with reservations is never swept
    if (settlement == Settlement::keep) {
      counter.window.keep(held.cost, now, counter.period);
    } else {
      counter.window.give_back(held.cost);
    }
  }
  held_.erase(it);
}

void MemoryStore::sweep(Instant now) {
  erase_if(counters_, [&](const auto& item) { return item.second.window.idle(now, item.second.period); });
  sweep_at_ = std::max<std::size_t>(1024, counters_.size() * 2);
}

std::size_t MemoryStore::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_.size();
}

std::size_t MemoryStore::reservations() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

}  // namespace replygate

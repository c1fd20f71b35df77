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

MemoryStore::Key MemoryStore::key_of(std::string_view text) const {
  std::array<unsigned char, sizeof(Key)> hash{};
  crypto_shorthash_siphashx24(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
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

DistinctWindow::Member MemoryStore::member_of(const Charge& c) const {
  const auto* distinct = std::get_if<Distinct>(&c.measure);
  return distinct == nullptr ? 0 : key_of(distinct->member)[0];
}

Reading MemoryStore::read(const Charge& c, const Key& key, Instant now) const {
  const auto it = counters_.find(key);
  return it == counters_.end() ? Counter(c.measure).read(c, 0, now) : it->second.read(c, member_of(c), now);
}

Readings MemoryStore::take_locked(const std::vector<Charge>& charges, bool admit, Instant now) {
  if (counters_.size() >= sweep_at_) sweep(now);
  Readings result{.available = true, .readings = {}, .reservation = 0};
  result.readings.reserve(charges.size());
  std::vector<Key> keys;
  keys.reserve(charges.size());
  for (const Charge& c : charges) {
    keys.push_back(key_of(c.counter));
    result.readings.push_back(read(c, keys.back(), now));
  }
  const auto group_fits = [&](std::uint32_t group) {
    for (std::size_t i = 0; i < charges.size(); ++i) {
      if (charges[i].group == group && !result.readings[i].fits) return false;
    }
    return true;
  };
  std::vector<Held> held;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    const Charge& c = charges[i];
    const bool counts = c.cost > 0 && (c.even_if_full || (admit && group_fits(c.group)));
    if (counts) charge(c, keys[i], now, result.readings[i], held);
  }
  if (!held.empty()) {
    result.reservation = ++last_id_;
    held_.emplace(result.reservation, std::move(held));
  }
  return result;
}

void MemoryStore::charge(const Charge& c, const Key& key, Instant now, Reading& reading, std::vector<Held>& held) {
  Counter& counter = counters_.try_emplace(key, c.measure).first->second;
  if (c.reserve) {
    held.push_back({key, counter.reserve(c, member_of(c), now)});
  } else {
    counter.add(c, member_of(c), now);
  }
  if (c.warn_at > 0 && reading.used + reading.cost >= c.warn_at) reading.warn = counter.warn(now);
}

void MemoryStore::settle(ReservationId id, Settlement settlement, Instant now) {
  if (id == 0) return;
  const std::lock_guard lock(mutex_);
  const auto it = held_.find(id);
  if (it == held_.end()) return;
  for (const Held& held : it->second) {
    counters_.at(held.key).settle(held.hold, settlement, now);  // a counter with reservations is never swept
  }
  held_.erase(it);
}

void MemoryStore::sweep(Instant now) {
  erase_if(counters_, [&](const auto& item) { return item.second.idle(now); });
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

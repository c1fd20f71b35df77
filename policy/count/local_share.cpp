#include "policy/count/local_share.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "policy/count/admission.h"

namespace replygate {
namespace {

constexpr ReservationId kHere = ReservationId{1} << 63;  // marks reservations of this host
constexpr std::size_t kTold = 64;                        // counts in one call
constexpr std::size_t kMostUntold = 1'000'000;

bool is_sighting(const Charge& c) { return std::holds_alternative<Greylisting>(c.measure); }

// To be counted whatever it makes of the limit.
Charge by_itself(Charge c, std::uint32_t group) {
  c.group = group;
  c.even_if_full = true;
  c.pardoned = false;
  c.reserve = false;
  c.warn_at = 0;
  return c;
}

// The use that all have made of a counter is kept as counts of when it was seen, which is not too early.
Charge as_seen(const Charge& c) {
  Charge look = by_itself(c, 0);
  if (const auto* members = std::get_if<Distinct>(&c.measure)) look.measure = Sliding{members->period};
  return look;
}

std::int64_t used_in(MemoryStore& store, const Charge& c, Instant now) {
  Charge look = as_seen(c);
  look.cost = 0;
  return store.take_now({look}, false, now).readings.front()->used;
}

bool any_local(const std::vector<Charge>& charges) { return std::ranges::any_of(charges, &Charge::local); }

}  // namespace

LocalShare::LocalShare(Store& shared, std::int64_t hosts, const MemoryStore::Bounds& bounds)
    : shared_(shared),
      hosts_(hosts),
      seen_(bounds, MemoryStore::random_secret(), false),
      mine_(bounds, MemoryStore::random_secret(), false),
      own_(bounds, MemoryStore::random_secret(), false) {}

void LocalShare::take(std::vector<Charge> charges, bool admit, Instant now, Taken done) {
  if (!any_local(charges)) return shared_.take(std::move(charges), admit, now, std::move(done));
  auto told = to_tell();
  if (told.empty()) return ask(std::move(charges), admit, now, std::move(done));
  // What was counted here comes first.
  const auto kept = std::make_shared<std::vector<Charge>>(told);
  shared_.take(
      std::move(told), false, now,
      [this, kept, charges = std::move(charges), admit, now, done = std::move(done)](const Readings& answer) mutable {
        if (answer.readings.empty()) {
          for (Charge& c : *kept) note(std::move(c));
          away_ = true;
          return done(take_here(charges, admit, now));
        }
        for (const Charge& c : *kept) {
          seen_.take_now({as_seen(c)}, false, now);
          mine_.take_now({as_seen(c)}, false, now);
        }
        ask(std::move(charges), admit, now, std::move(done));
      });
}

void LocalShare::ask(std::vector<Charge> charges, bool admit, Instant now, Taken done) {
  const auto kept = std::make_shared<const std::vector<Charge>>(charges);
  shared_.take(std::move(charges), admit, now, [this, kept, admit, now, done = std::move(done)](Readings readings) {
    if (readings.readings.empty()) {
      away_ = true;
      return done(take_here(*kept, admit, now));
    }
    if (away_.exchange(false)) ++outage_;
    remember(*kept, readings, now);
    done(std::move(readings));
  });
}

void LocalShare::remember(const std::vector<Charge>& charges, const Readings& readings, Instant now) {
  for (std::size_t i = 0; i < charges.size(); ++i) {
    const Charge& c = charges[i];
    if (!c.local || !readings.readings[i]) continue;
    if (is_sighting(c)) {
      own_.take_now({by_itself(c, 0)}, false, now);
      continue;
    }
    const Reading& reading = *readings.readings[i];
    Charge look = as_seen(c);
    look.cost = reading.fits ? reading.cost : 0;
    if (look.cost > 0) mine_.take_now({look}, false, now);
    look.cost += reading.used - used_in(seen_, c, now);
    if (look.cost > 0) seen_.take_now({look}, false, now);
  }
}

Readings LocalShare::take_here(const std::vector<Charge>& charges, bool admit, Instant now) {
  std::vector<Charge> here;
  std::vector<std::int64_t> beyond;  // of each limit what is not this host's to give
  for (const Charge& c : charges) {
    if (!c.local) continue;
    Charge& own = here.emplace_back(c);
    own.was.clear();
    beyond.push_back(0);
    if (is_sighting(c)) continue;
    const std::int64_t left =
        std::min((c.most - used_in(seen_, c, now)) / hosts_, c.most / hosts_ - used_in(mine_, c, now));
    own.most = std::max<std::int64_t>(left, 0);
    beyond.back() = c.most - own.most;
    own.counter += '#' + std::to_string(outage_);
  }
  Readings answer = own_.take_now(here, admit, now);
  Readings result{.evicted = answer.evicted, .counted = answer.counted};
  std::size_t next = 0;
  std::vector<Charge> reserved;
  for (const Charge& c : charges) {
    result.readings.emplace_back();
    if (!c.local) continue;
    Reading& reading = result.readings.back().emplace(*answer.readings[next]);
    const bool charged = is_charged(here, answer.readings, admit, next);
    reading.used += beyond[next++];
    reading.local = true;
    if (is_sighting(c) || !charged) continue;
    if (c.reserve) {
      reserved.push_back(c);
    } else {
      note(c);
    }
  }
  if (answer.reservation != 0) {
    result.reservation = answer.reservation | kHere;
    const std::lock_guard lock(mutex_);
    held_.emplace(result.reservation, std::move(reserved));
  }
  return result;
}

void LocalShare::note(Charge charge) {
  const std::lock_guard lock(mutex_);
  const auto it = untold_.find(charge.counter + charge.member);
  if (it == untold_.end()) {
    if (untold_.size() < kMostUntold) untold_.emplace(charge.counter + charge.member, std::move(charge));
  } else if (!std::holds_alternative<Distinct>(charge.measure)) {
    it->second.cost += charge.cost;
  }
}

void LocalShare::settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) {
  std::vector<ReservationId> here;
  for (ReservationId& id : ids) {
    if ((id & kHere) != 0) here.push_back(std::exchange(id, 0) & ~kHere);
  }
  own_.settle_now(here, settlement, now);
  for (const ReservationId id : here) {
    std::vector<Charge> charges;
    {
      const std::lock_guard lock(mutex_);
      const auto it = held_.find(id | kHere);
      if (it == held_.end()) continue;
      charges = std::move(it->second);
      held_.erase(it);
    }
    if (settlement == Settlement::give_back) continue;
    for (Charge& charge : charges) note(std::move(charge));
  }
  shared_.settle(std::move(ids), settlement, now, std::move(done));
}

// A few at a time. A call that is not answered may have been heard all the same: such counts are told twice, not lost.
std::vector<Charge> LocalShare::to_tell() {
  std::vector<Charge> told;
  const std::lock_guard lock(mutex_);
  while (!untold_.empty() && told.size() < kTold) {
    const auto first = untold_.begin();
    told.push_back(by_itself(std::move(first->second), static_cast<std::uint32_t>(told.size())));
    untold_.erase(first);
  }
  return told;
}

void LocalShare::forget(std::vector<std::string> counters, Instant now, Forgotten done) {
  for (MemoryStore* store : {&seen_, &mine_, &own_}) store->forget(counters, now, [](bool) {});
  {
    const std::lock_guard lock(mutex_);
    erase_if(untold_,
             [&](const auto& item) { return std::ranges::find(counters, item.second.counter) != counters.end(); });
  }
  shared_.forget(std::move(counters), now, std::move(done));
}

std::size_t LocalShare::to_be_told() const {
  const std::lock_guard lock(mutex_);
  return untold_.size();
}

}  // namespace replygate

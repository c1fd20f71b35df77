#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "policy/base/time.h"
#include "policy/count/bucket.h"
#include "policy/count/sighting.h"

namespace replygate {

// How a counter counts.
struct Sliding {
  Duration period{};
};
struct Fixed {  // until an instant, then never again: the counter's name says which period it is
  Instant until;
};
struct Distinct {  // members
  Duration period{};
  std::int64_t full = 0;  // how many are told to be worth keeping the counter; 0: `most`
};
using Measure = std::variant<Sliding, Bucket::Rate, Fixed, Distinct, Greylisting>;

// One counter that a decision touches.
struct Charge {
  std::string counter;  // its identity: rule, unit, period and key; the same text is the same counter on every store
  Measure measure = Sliding{};
  std::int64_t most = 0;  // of a bucket its depth
  std::int64_t cost = 1;  // 0 reads alone; of Distinct at most 1; of Greylisting without meaning
  // Charges of one group are admitted all or none. Group 0 is what is enforced; each observed rule is a group.
  std::uint32_t group = 0;
  bool even_if_full = false;  // is counted whether or not its group is admitted; a sighting always is
  bool pardoned = false;      // keeps its group out only if the next charge fits, too
  std::int64_t again = 0;     // of what is charged already: what trying anew costs more than `cost`
  bool reserve = true;        // held until settled; else counted for good at once
  std::int64_t warn_at = 0;   // use that is worth a warning; 0: none is
  std::string member;         // of Distinct
  bool local = false;         // is counted on this host alone where the shared store cannot be asked
  std::string was;            // what the counter was called before; its use is carried over; "": nothing
};

// The answer for one Charge.
struct Reading {
  std::int64_t used = 0;           // before this charge, reservations included
  std::int64_t cost = 0;           // what this charge adds: 0 for a member that is counted already
  bool fits = false;               // used + cost <= most; of a sighting: it passes
  std::optional<Instant> room_at;  // when the cost will fit, where that can be told; see Store::take()
  bool warn = false;               // the first charge in a period that reaches warn_at
  bool local = false;              // counted on this host alone; `used` is what is not left to it
  Sighting::State sighting = Sighting::State::fresh;
};

using ReservationId = std::uint64_t;  // 0: nothing is reserved

struct Readings {
  // One for each charge, in their order, empty where the store cannot tell; or none at all: it did not answer in time.
  std::vector<std::optional<Reading>> readings;
  ReservationId reservation = 0;
  std::int64_t evicted = 0;  // counters that still counted and had to make room
  bool counted = false;      // something was counted for good
};

enum class Settlement : std::uint8_t { keep, give_back };

// Counters over time. Implementations are safe for any number of threads.
class Store {
 public:
  using Taken = std::function<void(Readings)>;
  using Settled = std::function<void()>;

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // Tests all charges and charges those groups in which every one has room, in one atomic step. With `admit` false
  // nothing is admitted: only charges that count even if full are charged. `done` is called exactly once, perhaps
  // before take() returns, perhaps on another thread, as soon as what was charged is as safe as the store promises.
  // Where one of them does not fit, room_at is told as if all that is reserved were kept now, and behind what the take
  // itself has charged: of a charge that counts even if full it is when the same will fit once more.
  // A reservation lives until it is settled; the caller owes exactly one settle() for each id that is not 0. Where the
  // counters outlive the process, what it had reserved when it died is given back after the store's deadline.
  virtual void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) = 0;

  // take() and settle() of a store that has its counters at hand. False: it has not, and nothing has happened. What
  // `answer` was before is gone, and its memory used.
  virtual bool take_at_once(std::span<const Charge> charges, bool admit, Instant now, Readings& answer) {
    static_cast<void>(charges), static_cast<void>(admit), static_cast<void>(now), static_cast<void>(answer);
    return false;
  }
  virtual bool settle_at_once(std::span<const ReservationId> ids, Settlement settlement, Instant now) {
    static_cast<void>(ids), static_cast<void>(settlement), static_cast<void>(now);
    return false;
  }

  // Turns reservations into use, or returns them. Ids of 0 do nothing. What is kept although it was given back, because
  // it was forgotten or the store was away for too long, counts even if there is no room any more. `done` is called as
  // that of take(); a failure is the store's own matter.
  virtual void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) = 0;

  // Forgets what these counters have counted; what is reserved in them counts anew once it is kept. `done` is called as
  // that of take(): false where the store cannot be reached.
  using Forgotten = std::function<void(bool reached)>;
  virtual void forget(std::vector<std::string> counters, Instant now, Forgotten done) = 0;
};

}  // namespace replygate

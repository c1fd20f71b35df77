#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/time.h"

namespace replygate {

// One counter that a decision touches.
struct Charge {
  std::string counter;  // its identity: rule, unit, period and key; the same text is the same counter on every store
  Duration period{};    // of its sliding window
  std::int64_t most = 0;
  std::int64_t cost = 1;
  // Charges of one group are admitted all or none. Group 0 is what is enforced; each observed rule is a group.
  std::uint32_t group = 0;
  bool even_if_full = false;  // is counted whether or not its group is admitted
  bool reserve = true;        // held until settled; else counted for good at once
};

// The answer for one Charge.
struct Reading {
  std::int64_t used = 0;           // before this charge, reservations included
  bool fits = false;               // used + cost <= most
  std::optional<Instant> room_at;  // when the cost will fit, where that can be told
};

using ReservationId = std::uint64_t;  // 0: nothing is reserved

struct Readings {
  bool available = false;         // false: the store did not answer in time; the rest is empty
  std::vector<Reading> readings;  // one for each charge, in their order
  ReservationId reservation = 0;
};

enum class Settlement : std::uint8_t { keep, give_back };

// Counters over time. Implementations are safe for any number of threads.
class Store {
 public:
  using Taken = std::function<void(Readings)>;

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // Tests all charges and charges those groups in which every one has room, in one atomic step. With `admit` false
  // nothing is admitted: only charges that count even if full are charged. `done` is called exactly once, perhaps
  // before take() returns, perhaps on another thread, at the latest when `patience` has passed.
  // A reservation lives until it is settled; the caller owes exactly one settle() for each id that is not 0.
  virtual void take(std::vector<Charge> charges, bool admit, Instant now, Duration patience, Taken done) = 0;

  // Turns a reservation into use, or returns it. Never fails from the caller's view; 0 does nothing.
  virtual void settle(ReservationId id, Settlement settlement, Instant now) = 0;
};

}  // namespace replygate

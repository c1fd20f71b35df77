#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/calendar.h"
#include "policy/time.h"

namespace replygate {

enum class Unit : std::uint8_t {
  connections,
  messages,
  recipients,
  bytes,
  distinct_recipients,
  refusals,            // replies of ours that refused something, by other rules
  unknown_recipients,  // recipients that the MTA refused
};
std::span<const std::string_view> unit_names();  // in the order of the enumeration
std::string_view to_string(Unit unit);
std::optional<Unit> unit_from(std::string_view name);

// Units that are compared before, and counted after something happened.
constexpr bool counts_events(Unit unit) { return unit == Unit::refusals || unit == Unit::unknown_recipients; }

// Over what a limit counts: a sliding window of time, a period of the calendar, one message, or one session.
enum class Scope : std::uint8_t { window, calendar, message, session };

// "500 recipients / 1h".
struct Limit {
  std::int64_t most = 0;
  Unit unit = Unit::messages;
  Scope scope = Scope::window;
  Duration period{};  // of a window
  Calendar calendar = Calendar::day;
  std::int64_t burst = 0;  // not 0: no window, but a token bucket of this depth, filled with `most` a period

  bool in_store() const { return scope == Scope::window || scope == Scope::calendar; }
  // More than this never fits at once.
  std::int64_t depth() const { return burst > 0 ? burst : most; }

  // Canonical form: "500 recipients / 1h", "25 MiB / 1d", "100 recipients / message", "60 messages / 1h, burst 10".
  std::string text() const;
  // The period alone: "1h", "day", "message", "session".
  std::string period_text() const;
  bool operator==(const Limit&) const = default;
};

// How much was used of one key in a sliding window: a log of charges, each in one of 100 slots a period, so that
// in no interval of the period's length, wherever it begins, more is admitted than the limit, and room comes back
// at the latest a hundredth of the period after it could. What is reserved counts until it is kept or given back,
// however long that takes; it is kept with the time of keeping.
//
// A value without a lock. `now` should not run backwards; if it does, nothing is admitted too much.
class Window {
 public:
  std::int64_t used(Instant now, Duration period) const;  // reservations included
  void add(std::int64_t cost, Instant now, Duration period);
  void reserve(std::int64_t cost) { reserved_ += cost; }
  void keep(std::int64_t cost, Instant now, Duration period);
  void give_back(std::int64_t cost) { reserved_ -= cost; }

  // When `cost` will have room within `most`, if nothing else is charged and no reservation is given back;
  // nothing where that can't be told, because reservations hold the room or cost > most.
  std::optional<Instant> room_at(std::int64_t cost, std::int64_t most, Instant now, Duration period) const;

  bool idle(Instant now, Duration period) const { return reserved_ == 0 && used(now, period) == 0; }

 private:
  struct Slot {
    std::int64_t index;
    std::int64_t count;
  };

  void drop_expired(Instant now, Duration period);

  boost::container::small_vector<Slot, 1> slots_;  // ascending by index
  std::int64_t reserved_ = 0;
};

}  // namespace replygate

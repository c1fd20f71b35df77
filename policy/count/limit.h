#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/base/calendar.h"
#include "policy/base/time.h"

namespace replygate {

enum class Unit : std::uint8_t {
  connections,
  messages,
  recipients,
  bytes,
  distinct_recipients,
  refusals,            // replies of ours that refused something, by other rules
  unknown_recipients,  // recipients that the MTA refused
  // What became of recipients that were let through.
  hard_bounces,  // the address is dead
  blocked,       // they refuse us
  deferrals,
  deliveries,
  complaints,
};
std::span<const std::string_view> unit_names();  // in the order of the enumeration
std::string_view to_string(Unit unit);
std::optional<Unit> unit_from(std::string_view name);

// Units that are compared before, and counted after something happened.
constexpr bool counts_outcomes(Unit unit) { return unit >= Unit::hard_bounces; }
constexpr bool counts_events(Unit unit) {
  return unit == Unit::refusals || unit == Unit::unknown_recipients || counts_outcomes(unit);
}

// Over what a limit counts: a sliding window of time, a period of the calendar, one message, or one session.
enum class Scope : std::uint8_t { window, calendar, message, session };

// "500 recipients / 1h", "10% hard_bounces / 1h" with at least 50 recipients.
struct Limit {
  std::int64_t most = 0;
  Unit unit = Unit::messages;
  Scope scope = Scope::window;
  Duration period{};  // of a window
  Calendar calendar = Calendar::day;
  std::int64_t burst = 0;  // not 0: no window, but a token bucket of this depth, filled with `most` a period
  // Not 0: hundredths of a percent of the recipients that the key has had in the same window. `most` is then what never
  // is too much of it; see set_floor().
  std::int64_t share = 0;
  std::int64_t floor = 0;  // of a share: it says nothing of fewer recipients

  bool in_store() const { return scope == Scope::window || scope == Scope::calendar; }
  // More than this never fits at once.
  std::int64_t depth() const { return burst > 0 ? burst : most; }
  void set_floor(std::int64_t recipients);
  // Of a share: whether `events` of `recipients` are so many that it refuses.
  bool is_reached(std::int64_t events, std::int64_t recipients) const {
    return events > 0 && recipients >= floor && events * kWholeShare >= share * recipients;
  }
  // Of a share of so many recipients: the number of events at which it refuses. Else `most`.
  std::int64_t most_of(std::int64_t recipients) const;
  static constexpr std::int64_t kWholeShare = 10000;

  // Canonical form: "500 recipients / 1h", "25 MiB / 1d", "100 recipients / message", "60 messages / 1h, burst 10".
  std::string text() const;
  // The period alone: "1h", "day", "message", "session".
  std::string period_text() const;
  bool operator==(const Limit&) const = default;
};

}  // namespace replygate

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

}  // namespace replygate

#include "policy/count/limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 7> kUnits = {"connections",         "messages", "recipients",        "bytes",
                                                    "distinct_recipients", "refusals", "unknown_recipients"};

std::int64_t slot_width(Duration period) { return std::max<std::int64_t>(period.count() / 100, 1); }
std::int64_t slot_of(Instant at, Duration period) { return at.time_since_epoch().count() / slot_width(period); }

// The first instant at which charges of the slot no longer count.
Instant expiry(std::int64_t slot, Duration period) {
  return Instant(Duration((slot + 1) * slot_width(period))) + period;
}

}  // namespace

std::span<const std::string_view> unit_names() { return kUnits; }

std::string_view to_string(Unit unit) { return kUnits[static_cast<std::size_t>(unit)]; }

std::optional<Unit> unit_from(std::string_view name) {
  const auto it = std::ranges::find(kUnits, name);
  if (it == kUnits.end()) return std::nullopt;
  return static_cast<Unit>(it - kUnits.begin());
}

std::string Limit::period_text() const {
  switch (scope) {
    case Scope::message: return "message";
    case Scope::session: return "session";
    case Scope::calendar: return std::string(to_string(calendar));
    case Scope::window: break;
  }
  return format_duration(period);
}

std::string Limit::text() const {
  const bool bytes = unit == Unit::bytes;
  const std::string amount = bytes ? format_size(most) : fmt::format("{} {}", most, to_string(unit));
  const std::string depth = bytes ? format_size(burst) : std::to_string(burst);
  return fmt::format("{} / {}{}{}", amount, period_text(), burst > 0 ? ", burst " : "", burst > 0 ? depth : "");
}

std::int64_t Window::used(Instant now, Duration period) const {
  std::int64_t sum = reserved_;
  for (const Slot& slot : slots_) {
    if (expiry(slot.index, period) > now) sum += slot.count;
  }
  return sum;
}

void Window::drop_expired(Instant now, Duration period) {
  const auto live = std::ranges::find_if(slots_, [&](const Slot& s) { return expiry(s.index, period) > now; });
  slots_.erase(slots_.begin(), live);
}

void Window::add(std::int64_t cost, Instant now, Duration period) {
  if (cost == 0) return;
  drop_expired(now, period);
  const std::int64_t index = slot_of(now, period);
  if (slots_.empty() || slots_.back().index < index) {
    slots_.push_back({index, cost});
  } else {
    slots_.back().count += cost;
  }
}

void Window::keep(std::int64_t cost, Instant now, Duration period) {
  give_back(cost);
  add(cost, now, period);
}

std::optional<Instant> Window::room_at(std::int64_t cost, std::int64_t most, Instant now, Duration period) const {
  std::int64_t in_use = used(now, period);
  if (in_use + cost <= most) return now;
  for (const Slot& slot : slots_) {
    const Instant gone = expiry(slot.index, period);
    if (gone <= now) continue;
    in_use -= slot.count;
    if (in_use + cost <= most) return gone;
  }
  return std::nullopt;
}

}  // namespace replygate

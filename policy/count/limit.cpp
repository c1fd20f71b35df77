#include "policy/count/limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 12> kUnits = {
    "connections",        "messages",     "recipients", "bytes",     "distinct_recipients", "refusals",
    "unknown_recipients", "hard_bounces", "blocked",    "deferrals", "deliveries",          "complaints"};
static_assert(kUnits.size() == static_cast<std::size_t>(Unit::complaints) + 1);

std::string percent_of(std::int64_t share) {
  if (share % 100 == 0) return std::to_string(share / 100);
  return share % 10 == 0 ? fmt::format("{}.{}", share / 100, share / 10 % 10)
                         : fmt::format("{}.{:02}", share / 100, share % 100);
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

std::int64_t Limit::most_of(std::int64_t recipients) const {
  if (share == 0) return most;
  const std::int64_t whole = std::min(std::max(recipients, floor), kMostQuantity / kWholeShare);
  return std::max<std::int64_t>(1, (whole * share + kWholeShare - 1) / kWholeShare);
}

void Limit::set_floor(std::int64_t recipients) {
  floor = recipients;
  if (share == 0) return;
  most = most_of(floor);
}

std::string Limit::text() const {
  if (share > 0) {
    return fmt::format("{}% {} / {}, at least {} recipients", percent_of(share), to_string(unit), period_text(), floor);
  }
  const bool bytes = unit == Unit::bytes;
  const std::string amount = bytes ? format_size(most) : fmt::format("{} {}", most, to_string(unit));
  const std::string depth = bytes ? format_size(burst) : std::to_string(burst);
  return fmt::format("{} / {}{}{}", amount, period_text(), burst > 0 ? ", burst " : "", burst > 0 ? depth : "");
}

}  // namespace replygate

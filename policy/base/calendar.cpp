#include "policy/base/calendar.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <stdexcept>

#ifndef REPLYGATE_STD_ZONES
#include <date/tz.h>
#endif

namespace replygate {
namespace {

using std::chrono::days;
using std::chrono::local_days;
using std::chrono::year_month_day;

// Time zones of the standard library where it has them (GCC 14), else of the library that they were made from.
#ifdef REPLYGATE_STD_ZONES
namespace zones = std::chrono;
#else
namespace zones = date;
#endif

zones::local_seconds to_library(local_days day) {
  return zones::local_seconds(std::chrono::duration_cast<std::chrono::seconds>(day.time_since_epoch()));
}

std::chrono::local_time<Duration> to_local(const void* zone, Instant now) {
  if (zone == nullptr) return std::chrono::local_time<Duration>(now.time_since_epoch());
  const auto* of_library = static_cast<const zones::time_zone*>(zone);
  return std::chrono::local_time<Duration>(of_library->to_local(now).time_since_epoch());
}

}  // namespace

std::string_view to_string(Calendar period) {
  constexpr std::array<std::string_view, 3> names = {"day", "week", "month"};
  return names[static_cast<std::size_t>(period)];
}

std::string_view weekday_name(unsigned weekday) {
  constexpr std::array<std::string_view, 7> names = {"monday", "tuesday",  "wednesday", "thursday",
                                                     "friday", "saturday", "sunday"};
  return names[weekday - 1];
}

std::optional<Zone> Zone::named(std::string_view name) {
  Zone zone;
  zone.name_ = name;
  if (name == "UTC") return zone;
  if (name.empty() || name.starts_with('/') || name.find("..") != std::string_view::npos) return std::nullopt;
  try {
    zone.zone_ = zones::locate_zone(zone.name_);
    return zone;
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

LocalTime Zone::local(Instant now) const {
  const auto local = to_local(zone_, now);
  const auto day = std::chrono::floor<days>(local);
  const year_month_day date(day);
  return {.year = static_cast<int>(date.year()),
          .month = static_cast<unsigned>(date.month()),
          .day = static_cast<unsigned>(date.day()),
          .weekday = std::chrono::weekday(day).iso_encoding(),
          .minute = static_cast<unsigned>(std::chrono::floor<std::chrono::minutes>(local - day).count())};
}

Instant Zone::midnight(int year, unsigned month, unsigned day) const {
  const local_days local{std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day)};
  if (zone_ == nullptr) return Instant(local.time_since_epoch());
  // Where a clock change skips midnight, the day begins at the change.
  return static_cast<const zones::time_zone*>(zone_)->to_sys(to_library(local), zones::choose::earliest);
}

Zone::Span Zone::span(Calendar period, Instant now) const {
  const auto today = std::chrono::floor<days>(to_local(zone_, now));
  auto begin = today;
  auto end = today + days(1);
  if (period == Calendar::week) {
    begin = today - days(std::chrono::weekday(today).iso_encoding() - 1);
    end = begin + days(7);
  } else if (period == Calendar::month) {
    const year_month_day date(today);
    begin = local_days(date.year() / date.month() / std::chrono::day(1));
    end = local_days((date.year() / date.month() + std::chrono::months(1)) / std::chrono::day(1));
  }
  const year_month_day first(begin);
  const year_month_day next(end);
  return {.end = midnight(static_cast<int>(next.year()), static_cast<unsigned>(next.month()),
                          static_cast<unsigned>(next.day())),
          .begin = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(first.year()),
                               static_cast<unsigned>(first.month()), static_cast<unsigned>(first.day()))};
}

}  // namespace replygate

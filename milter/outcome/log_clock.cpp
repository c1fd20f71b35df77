#include "milter/outcome/log_clock.h"

#include <ctime>

namespace replygate {
namespace {

using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Clocks of two hosts differ.
constexpr Duration kAhead = std::chrono::hours(24);

// Lines of two processes change places.
constexpr Duration kJitter = minutes(2);
constexpr int kLongestWithoutLeapDay = 8;  // years, about 1900 and 2100

bool is_date(const LogTime& time, int year) {
  return (std::chrono::year(year) / std::chrono::month(time.month) / std::chrono::day(time.day)).ok();
}

Instant begin_of_hour(const LogTime& time, int year) {
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(time.month),
                                         std::chrono::day(time.day));
  return std::chrono::sys_days(date) + std::chrono::hours(time.hour);
}

// Half of an hour is the least by which clocks are put back.
unsigned half_of(const LogTime& time) { return time.minute < 30 ? 0 : 30; }

// `summer`: 1 yes, 0 no, -1 as the time zone has it. Nothing: that time was not at that date.
std::optional<Instant> begin_of_half(const LogTime& time, int year, int summer) {
  std::tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = static_cast<int>(time.month) - 1;
  parts.tm_mday = static_cast<int>(time.day);
  parts.tm_hour = static_cast<int>(time.hour);
  parts.tm_min = static_cast<int>(half_of(time));
  parts.tm_isdst = summer;
  const std::time_t at = std::mktime(&parts);
  const bool kept = summer < 0 || (parts.tm_isdst == summer && parts.tm_hour == static_cast<int>(time.hour) &&
                                   parts.tm_min == static_cast<int>(half_of(time)));
  return kept ? std::optional(Instant(seconds(at))) : std::nullopt;
}

}  // namespace

const LogClock::Begins& LogClock::begins(const LogTime& time, int year) {
  const bool same = half_.year == year && half_.month == time.month && half_.day == time.day &&
                    half_.hour == time.hour && half_of(half_) == half_of(time);
  if (same) return begins_;
  half_ = time;
  half_.year = year;
  half_.zone = {};
  const auto summer = begin_of_half(time, year, 1);
  const auto winter = begin_of_half(time, year, 0);
  const Instant any = begin_of_half(time, year, -1).value_or(Instant());
  begins_ = summer && winter ? Begins{*summer, *winter, true} : Begins{any, any};
  return begins_;
}

Instant LogClock::local(const LogTime& time, int year, Duration within) {
  const Begins& at = begins(time, year);
  const Duration rest = within - minutes(half_of(time));
  if (at.named && !time.zone.empty()) return (time.zone == tzname[0] ? at.second : at.first) + rest;
  const bool again = at.first + rest + kJitter < last_ && last_ < at.second + std::chrono::hours(1);
  return (again ? at.second : at.first) + rest;
}

int LogClock::year_of(const LogTime& time) const {
  const Instant most = latest_ + kAhead;
  const int last = static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(most)).year());
  for (int year = last; year > last - kLongestWithoutLeapDay; --year) {
    if (is_date(time, year) && begin_of_hour(time, year) <= most) return year;
  }
  return last;
}

std::optional<Instant> LogClock::own_time(std::string_view line) {
  const auto time = log_time(line);
  if (!time) return std::nullopt;
  const Duration within = minutes(time->minute) + seconds(time->second) + microseconds(time->microseconds);
  if (time->offset) {
    last_ = begin_of_hour(*time, time->year) + within - minutes(*time->offset);
  } else {
    last_ = local(*time, time->year != 0 ? time->year : year_of(*time), within);
  }
  return last_;
}

}  // namespace replygate

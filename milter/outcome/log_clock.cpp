#include "milter/outcome/log_clock.h"

#include <ctime>

namespace replygate {
namespace {

using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Clocks of two hosts differ.
constexpr Duration kAhead = std::chrono::hours(24);

Instant begin_of_hour(const LogTime& time, int year) {
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(time.month),
                                         std::chrono::day(time.day));
  return std::chrono::sys_days(date) + std::chrono::hours(time.hour);
}

int year_of(Instant time) {
  return static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
}

}  // namespace

Instant LogClock::local(const LogTime& time, int year) {
  const bool same = hour_.year == year && hour_.month == time.month && hour_.day == time.day && hour_.hour == time.hour;
  if (!same) {
    std::tm parts{};
    parts.tm_year = year - 1900;
    parts.tm_mon = static_cast<int>(time.month) - 1;
    parts.tm_mday = static_cast<int>(time.day);
    parts.tm_hour = static_cast<int>(time.hour);
    parts.tm_isdst = -1;
    begin_ = Instant(seconds(std::mktime(&parts)));
    hour_ = time;
    hour_.year = year;
  }
  return begin_;
}

Instant LogClock::read(std::string_view line) {
  const auto time = log_time(line);
  if (!time) return last_;
  const Duration within = minutes(time->minute) + seconds(time->second) + microseconds(time->microseconds);
  if (time->offset) {
    last_ = begin_of_hour(*time, time->year) + within - minutes(*time->offset);
  } else if (time->year != 0) {
    last_ = local(*time, time->year) + within;
  } else {
    const int year = year_of(latest_ + kAhead);
    last_ = local(*time, begin_of_hour(*time, year) > latest_ + kAhead ? year - 1 : year) + within;
  }
  return last_;
}

}  // namespace replygate

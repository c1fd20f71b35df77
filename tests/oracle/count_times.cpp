#include "tests/oracle/count_times.h"

#include <algorithm>
#include <cctype>

namespace replygate::oracle::counts {
namespace {

constexpr std::int64_t kHour = 3600;
constexpr std::int64_t kDay = 24 * kHour;

// Days since 1970 of a date, and the reverse (H. Hinnant's arithmetic).
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = year / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct Date {
  std::int64_t year;
  std::int64_t month;
  std::int64_t day;
};

Date date_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = days / 146097;
  const std::int64_t of_era = days - era * 146097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, of_year - (153 * shifted + 2) / 5 + 1};
}

std::int64_t weekday_of(std::int64_t days) { return (days + 3) % 7; }  // 0: Monday

// 01:00 UTC on the last Sunday of a month with 31 days.
std::int64_t last_sunday(std::int64_t year, std::int64_t month) {
  const std::int64_t last = days_of(year, month, 31);
  return (last - (weekday_of(last) + 1) % 7) * kDay + kHour;
}

std::int64_t offset(std::int64_t seconds, bool berlin) {
  if (!berlin) return 0;
  const std::int64_t year = date_of(seconds / kDay).year;
  const bool summer = seconds >= last_sunday(year, 3) && seconds < last_sunday(year, 10);
  return summer ? 2 * kHour : kHour;
}

// Midnight of a local day; Berlin's clocks never jump over one.
std::int64_t midnight(std::int64_t days, bool berlin) {
  const std::int64_t guess = days * kDay - offset(days * kDay - kHour, berlin);
  return days * kDay - offset(guess, berlin);
}

}  // namespace

std::int64_t leaves(std::int64_t at, std::int64_t seconds) {
  const std::int64_t period = seconds * kSecond;
  const std::int64_t width = std::max<std::int64_t>(period / 100, 1);
  return (at / width + 1) * width + period;
}

Span calendar_span(Over over, std::int64_t now, bool berlin) {
  const std::int64_t seconds = now / kSecond;
  const std::int64_t today = (seconds + offset(seconds, berlin)) / kDay;
  std::int64_t first = today;
  std::int64_t next = today + 1;
  if (over == Over::week) {
    first = today - weekday_of(today);
    next = first + 7;
  } else if (over == Over::month) {
    const Date date = date_of(today);
    first = days_of(date.year, date.month, 1);
    next = date.month == 12 ? days_of(date.year + 1, 1, 1) : days_of(date.year, date.month + 1, 1);
  }
  return {midnight(first, berlin) * kSecond, midnight(next, berlin) * kSecond};
}

std::int64_t duration_of(const std::string& text) {
  std::int64_t sum = 0;
  std::int64_t number = -1;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      number = std::max<std::int64_t>(number, 0) * 10 + (c - '0');
      continue;
    }
    const std::int64_t unit = c == 'w'   ? 7 * kDay
                              : c == 'd' ? kDay
                              : c == 'h' ? kHour
                              : c == 'm' ? 60
                              : c == 's' ? 1
                                         : -1;
    if (unit < 0 || number < 0) return -1;
    sum += number * unit;
    number = -1;
  }
  return number < 0 && !text.empty() ? sum * kSecond : -1;
}

}  // namespace replygate::oracle::counts

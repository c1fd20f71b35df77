#include "policy/remote/log_prefix.h"

#include <array>
#include <chrono>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestPrefix = 200;  // time, host, program

constexpr std::size_t kSeconds = 19;  // where they end: "2026-11-25 12:41:56"

// "<22>": syslog's facility and severity, as some receivers keep them.
std::string_view without_priority(std::string_view line) {
  if (!line.starts_with('<')) return line;
  std::size_t end = 1;
  while (end < 4 && end < line.size() && is_digit(line[end])) ++end;
  return end > 1 && end < line.size() && line[end] == '>' ? line.substr(end + 1) : line;
}

// With a blank between date and time Exim's own log begins, which names no program.
bool begins_with_time(std::string_view line) {
  line = without_priority(line);
  const bool names_program = line.size() > 10 && (!is_digit(line[0]) || line[4] != '-' || line[10] == 'T');
  return names_program && log_time(line);
}

// The word before the program, which begins behind `blank`; a part of the time is none.
std::string_view host_before(std::string_view line, std::size_t blank) {
  if (blank == std::string_view::npos || blank == 0) return "";
  const std::size_t before = line.rfind(' ', blank - 1);
  if (before == std::string_view::npos) return "";
  const std::string_view word = line.substr(before + 1, blank - before - 1);
  return word.find(':') == std::string_view::npos ? word : "";
}

LogPrefix without_pid(std::string_view line) {
  const std::size_t end = line.substr(0, kLongestPrefix).find(": ");
  if (end == std::string_view::npos || !begins_with_time(line)) return {"", "", line};
  const std::size_t blank = line.rfind(' ', end);
  if (blank == std::string_view::npos || blank < 15) return {"", "", line};
  return {line.substr(blank + 1, end - blank - 1), "", line.substr(end + 2), host_before(line, blank)};
}

// Nothing where a digit is missing; a blank in the first place counts as 0.
std::optional<unsigned> number_at(std::string_view text, std::size_t at, std::size_t digits) {
  if (text.size() < at + digits) return std::nullopt;
  unsigned number = 0;
  for (std::size_t i = at; i < at + digits; ++i) {
    const bool filled = text[i] == ' ' && i == at && digits == 2;
    if (!is_digit(text[i]) && !filled) return std::nullopt;
    number = number * 10 + (filled ? 0U : static_cast<unsigned>(text[i] - '0'));
  }
  return number;
}

unsigned month_named(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  for (unsigned i = 0; i < kMonths.size(); ++i) {
    if (name == kMonths[i]) return i + 1;
  }
  return 0;
}

bool take_clock(std::string_view text, std::size_t at, LogTime& time) {
  const auto hour = number_at(text, at, 2);
  const auto minute = number_at(text, at + 3, 2);
  const auto second = number_at(text, at + 6, 2);
  if (!hour || !minute || !second || text[at + 2] != ':' || text[at + 5] != ':') return false;
  if (*hour > 23 || *minute > 59 || *second > 60) return false;
  time.hour = *hour;
  time.minute = *minute;
  time.second = *second;
  return true;
}

void take_fraction(std::string_view& text, LogTime& time) {
  if (!text.starts_with('.') && !text.starts_with(',')) return;
  std::int64_t unit = 100000;
  text.remove_prefix(1);
  for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), unit /= 10) {
    time.microseconds += unit * (text.front() - '0');
  }
}

// ".123456", "Z", "+01:00", " +0100": what may follow the seconds.
void take_rest_of_clock(std::string_view text, LogTime& time) {
  take_fraction(text, time);
  if (text.starts_with(' ') && text.size() > 1 && (text[1] == '+' || text[1] == '-')) text.remove_prefix(1);
  if (text.starts_with('Z')) time.offset = 0;
  if (!text.starts_with('+') && !text.starts_with('-')) return;
  const auto hours = number_at(text, 1, 2);
  const bool whole = text.size() == 3 || text.substr(3).starts_with(' ');  // "+03", a zone without a name
  const auto minutes = whole ? std::optional(0U) : number_at(text, text.size() > 3 && text[3] == ':' ? 4 : 3, 2);
  if (!hours || !minutes) return;
  const int offset = static_cast<int>(*hours * 60 + *minutes);
  time.offset = text.front() == '-' ? -offset : offset;
}

// "2026-11-25T12:41:56" or with a blank.
bool take_date_and_clock(std::string_view line, LogTime& time) {
  if (line.size() < kSeconds) return false;
  const auto year = number_at(line, 0, 4);
  const auto month = number_at(line, 5, 2);
  const auto day = number_at(line, 8, 2);
  const bool formed = line[4] == '-' && line[7] == '-' && (line[10] == 'T' || line[10] == ' ');
  if (!year || !month || !day || !formed || !take_clock(line, 11, time)) return false;
  time.year = static_cast<int>(*year);
  time.month = *month;
  time.day = *day;
  return true;
}

bool take_iso(std::string_view line, LogTime& time) {
  if (!take_date_and_clock(line, time)) return false;
  take_rest_of_clock(line.substr(kSeconds), time);
  return true;
}

// "Wed 2026-11-25 12:41:56 CET": `journalctl -o short-full`.
bool take_full(std::string_view line, LogTime& time) {
  if (line.size() < 4 || line[3] != ' ' || !take_date_and_clock(line.substr(4), time)) return false;
  std::string_view rest = line.substr(4 + kSeconds);
  take_fraction(rest, time);
  take_rest_of_clock(rest, time);
  if (time.offset || !rest.starts_with(' ')) return true;
  time.zone = rest.substr(1, rest.find(' ', 1) - 1);
  if (time.zone == "UTC" || time.zone == "GMT") time.offset = 0;
  return true;
}

// "1795606916.123456 ": `journalctl -o short-unix`.
bool take_unix(std::string_view line, LogTime& time) {
  constexpr std::size_t kLongest = 11;
  std::int64_t seconds = 0;
  std::size_t end = 0;
  for (; end < line.size() && end < kLongest && is_digit(line[end]); ++end) seconds = seconds * 10 + (line[end] - '0');
  std::string_view rest = line.substr(end);
  const bool formed = end >= 9 && rest.starts_with('.');
  if (formed) take_fraction(rest, time);
  if (!formed || !rest.starts_with(' ')) return false;
  const std::chrono::sys_seconds at{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(at - day);
  time.year = static_cast<int>(date.year());
  time.month = static_cast<unsigned>(date.month());
  time.day = static_cast<unsigned>(date.day());
  time.hour = static_cast<unsigned>(clock.hours().count());
  time.minute = static_cast<unsigned>(clock.minutes().count());
  time.second = static_cast<unsigned>(clock.seconds().count());
  time.offset = 0;
  return true;
}

// "Nov 25 12:41:56", "Nov 25 12:41:56.123456".
bool take_traditional(std::string_view line, LogTime& time) {
  const auto day = number_at(line, 4, 2);
  if (!day || line.size() < 15 || line[3] != ' ' || line[6] != ' ' || !take_clock(line, 7, time)) return false;
  time.month = month_named(line.substr(0, 3));
  time.day = *day;
  std::string_view rest = line.substr(15);
  take_fraction(rest, time);
  return true;
}

bool is_date(const LogTime& time) {
  constexpr int kLeapYear = 2000;
  const std::chrono::year year(time.year == 0 ? kLeapYear : time.year);
  return (year / std::chrono::month(time.month) / std::chrono::day(time.day)).ok();
}

}  // namespace

std::optional<LogTime> log_time(std::string_view line) {
  line = without_priority(line);
  if (line.size() < 15) return std::nullopt;
  const auto read = [&](auto take) {
    LogTime time;
    return take(line, time) && is_date(time) ? std::optional(time) : std::nullopt;
  };
  if (is_digit(line[0])) return line[4] == '-' ? read(take_iso) : read(take_unix);
  return is_digit(line[4]) && is_digit(line[7]) && line[8] == '-' ? read(take_full) : read(take_traditional);
}

LogPrefix log_prefix(std::string_view line) {
  const std::size_t end = line.substr(0, kLongestPrefix).find("]: ");
  if (end == std::string_view::npos) return without_pid(line);
  const std::size_t open = line.rfind('[', end);
  if (open == std::string_view::npos) return without_pid(line);
  const std::string_view pid = line.substr(open + 1, end - open - 1);
  for (const char c : pid) {
    if (!is_digit(c)) return without_pid(line);
  }
  const std::size_t blank = line.rfind(' ', open);
  const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
  return {line.substr(begin, open - begin), pid, line.substr(end + 3), host_before(line, blank)};
}

}  // namespace replygate

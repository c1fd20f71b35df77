#include "policy/remote/log_prefix.h"

#include <array>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestPrefix = 200;  // time, host, program

bool begins_with_time(std::string_view line) {
  if (line.size() < 16) return false;
  const bool iso = is_digit(line[0]) && line[4] == '-' && line[7] == '-' && line[10] == 'T' && line[13] == ':';
  return iso || (is_alpha(line[0]) && line[3] == ' ' && line[6] == ' ' && line[9] == ':' && line[12] == ':' &&
                 line[15] == ' ');
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

// ".123456", "Z", "+01:00", " +0100": what may follow the seconds.
void take_rest_of_clock(std::string_view text, LogTime& time) {
  if (text.starts_with('.') || text.starts_with(',')) {
    std::int64_t unit = 100000;
    text.remove_prefix(1);
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), unit /= 10) {
      time.microseconds += unit * (text.front() - '0');
    }
  }
  if (text.starts_with(' ') && text.size() > 1 && (text[1] == '+' || text[1] == '-')) text.remove_prefix(1);
  if (text.starts_with('Z')) time.offset = 0;
  if (!text.starts_with('+') && !text.starts_with('-')) return;
  const auto hours = number_at(text, 1, 2);
  const auto minutes = number_at(text, text.size() > 3 && text[3] == ':' ? 4 : 3, 2);
  if (!hours || !minutes) return;
  const int offset = static_cast<int>(*hours * 60 + *minutes);
  time.offset = text.front() == '-' ? -offset : offset;
}

}  // namespace

std::optional<LogTime> log_time(std::string_view line) {
  LogTime time;
  if (line.size() >= 19 && is_digit(line[0])) {
    const auto year = number_at(line, 0, 4);
    const auto month = number_at(line, 5, 2);
    const auto day = number_at(line, 8, 2);
    const bool formed = line[4] == '-' && line[7] == '-' && (line[10] == 'T' || line[10] == ' ');
    if (!year || !month || !day || !formed || !take_clock(line, 11, time)) return std::nullopt;
    time.year = static_cast<int>(*year);
    time.month = *month;
    time.day = *day;
    take_rest_of_clock(line.substr(19), time);
  } else {
    const auto day = number_at(line, 4, 2);
    if (!day || line.size() < 15 || line[3] != ' ' || line[6] != ' ' || !take_clock(line, 7, time)) return std::nullopt;
    time.month = month_named(line.substr(0, 3));
    time.day = *day;
  }
  if (time.month < 1 || time.month > 12 || time.day < 1 || time.day > 31) return std::nullopt;
  return time;
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

#include "milter/import/postfwd/moment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "policy/mail/text.h"

namespace replygate::import::postfwd {
namespace {

constexpr std::string_view kDays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Range {
  std::string_view from;
  std::string_view to;
  bool open = false;  // has a '-'
};

Range range_of(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return {.from = trim(text), .to = {}};
  return {.from = trim(text.substr(0, dash)), .to = trim(text.substr(dash + 1)), .open = true};
}

// postfwd takes the digits of "hh:mm:ss" as one number.
std::optional<int> seconds_of(std::string_view text) {
  int number = 0;
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != ':'; });
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) return std::nullopt;
  const int hour = number / 10000;
  const int minute = number / 100 % 100;
  const int second = number % 100;
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return hour * 3600 + minute * 60 + second;
}

std::string clock(int seconds) { return fmt::format("{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60); }

std::optional<int> day_of(std::string_view text) {
  if (text.size() == 1 && text[0] >= '0' && text[0] <= '6') return text[0] - '0';
  for (int i = 0; i < 7; ++i) {
    if (equal_ignoring_case(kDays[i], text)) return i;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> time_pattern(std::string_view text) {
  const Range range = range_of(text);
  if (!range.open) return std::nullopt;  // a single second
  const auto from = range.from.empty() ? std::optional(0) : seconds_of(range.from);
  const auto to = range.to.empty() ? std::optional(86399) : seconds_of(range.to);
  if (!from || !to) return std::nullopt;
  if (*from > *to) return "";  // it does not go past midnight there
  // The last second is in it there. That of a full minute is let go: ranges of ours end before a minute.
  const int end = *to % 60 == 59 ? *to + 1 : *to;
  if (*from % 60 != 0 || end % 60 != 0 || (end - *from) % 86400 == 0) return std::nullopt;
  return fmt::format("{}-{}", clock(*from), clock(end));
}

std::optional<std::string> days_pattern(std::string_view text) {
  const Range range = range_of(text);
  // "0" counts as nothing there, and nothing as today.
  if (range.from.empty() || range.from == "0" || range.to == "0") return std::nullopt;
  const auto from = day_of(range.from);
  if (!from) return std::nullopt;
  if (range.to.empty()) {
    if (range.open) return std::nullopt;
    return std::string(kDays[*from]);
  }
  const auto to = day_of(range.to);
  if (!to) return std::nullopt;
  if (*from > *to) return "";
  if (*from == 0 && *to > 0) return fmt::format("sun-{}", kDays[*to]);
  return *from == *to ? std::string(kDays[*from]) : fmt::format("{}-{}", kDays[*from], kDays[*to]);
}

}  // namespace replygate::import::postfwd

#include "policy/mail/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "policy/mail/text.h"

namespace replygate {
namespace {

struct Factor {
  std::string_view name;
  std::int64_t of_smallest;
};

constexpr std::array kTimeUnits = {Factor{"w", 604'800'000}, Factor{"d", 86'400'000}, Factor{"h", 3'600'000},
                                   Factor{"m", 60'000},      Factor{"s", 1000},       Factor{"ms", 1}};
constexpr std::array kSizeUnits = {Factor{"TiB", 1LL << 40},   Factor{"TB", 1000000000000LL}, Factor{"GiB", 1LL << 30},
                                   Factor{"GB", 1000000000LL}, Factor{"MiB", 1LL << 20},      Factor{"MB", 1000000LL},
                                   Factor{"KiB", 1LL << 10},   Factor{"kB", 1000LL},          Factor{"B", 1LL}};
constexpr std::int64_t kLongest = 3653LL * 86'400'000;

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc{} ? std::min(value, kMostQuantity + 1) : kMostQuantity + 1;
}

std::int64_t times(std::int64_t value, std::int64_t factor) {
  return value > kMostQuantity / factor ? kMostQuantity + 1 : value * factor;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  do {
    const auto value = take_number(text);
    if (!value) return std::nullopt;
    const std::size_t letters = std::min(text.find_first_of("0123456789"), text.size());
    while (next_unit < kTimeUnits.size() && text.substr(0, letters) != kTimeUnits[next_unit].name) ++next_unit;
    if (next_unit == kTimeUnits.size()) return std::nullopt;
    if (*value > kLongest / kTimeUnits[next_unit].of_smallest) return std::nullopt;
    total += *value * kTimeUnits[next_unit++].of_smallest;
    text.remove_prefix(letters);
  } while (!text.empty());
  if (total <= 0 || total > kLongest) return std::nullopt;
  return std::chrono::milliseconds(total);
}

std::string format_duration(Duration duration) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  std::string text;
  for (const Factor& unit : kTimeUnits) {
    if (left < unit.of_smallest) continue;
    const fmt::format_int number(left / unit.of_smallest);
    text.append(number.data(), number.size());
    text += unit.name;
    left %= unit.of_smallest;
    if (left == 0) return text;
  }
  return text.empty() ? "0s" : text;
}

std::optional<std::int64_t> parse_count(std::string_view text) {
  const auto value = take_number(text);
  if (!value) return std::nullopt;
  if (text.empty()) return value;
  if (text == "k") return times(*value, 1000);
  if (text == "M") return times(*value, 1000000);
  return std::nullopt;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  const auto value = take_number(text);
  if (!value) return std::nullopt;
  text = trim(text);
  for (const Factor& unit : kSizeUnits) {
    if (equal_ignoring_case(text, unit.name)) return times(*value, unit.of_smallest);
  }
  return std::nullopt;
}

std::string format_size(std::int64_t octets) {
  for (const Factor& unit : kSizeUnits) {
    if (octets >= unit.of_smallest && octets % unit.of_smallest == 0) {
      return fmt::format("{} {}", octets / unit.of_smallest, unit.name);
    }
  }
  return fmt::format("{} B", octets);
}

}  // namespace replygate

#include "policy/mail/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "policy/mail/text.h"

namespace replygate {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array kTimeUnits = {Unit{"w", 604'800'000}, Unit{"d", 86'400'000}, Unit{"h", 3'600'000},
                                   Unit{"m", 60'000},      Unit{"s", 1000},       Unit{"ms", 1}};
constexpr std::array kSizeUnits = {Unit{"TiB", 1LL << 40},   Unit{"TB", 1000000000000LL}, Unit{"GiB", 1LL << 30},
                                   Unit{"GB", 1000000000LL}, Unit{"MiB", 1LL << 20},      Unit{"MB", 1000000LL},
                                   Unit{"KiB", 1LL << 10},   Unit{"kB", 1000LL},          Unit{"B", 1LL}};
constexpr std::int64_t kLongest = 3653LL * 86'400'000;

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::int64_t> times(std::int64_t value, std::int64_t factor) {
  if (value > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
  return value * factor;
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
    if (*value > kLongest / kTimeUnits[next_unit].factor) return std::nullopt;
    total += *value * kTimeUnits[next_unit++].factor;
    text.remove_prefix(letters);
  } while (!text.empty());
  if (total <= 0 || total > kLongest) return std::nullopt;
  return std::chrono::milliseconds(total);
}

std::string format_duration(Duration duration) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  std::string text;
  for (const Unit& unit : kTimeUnits) {
    if (left >= unit.factor) {
      text += std::to_string(left / unit.factor);
      text += unit.name;
      left %= unit.factor;
    }
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
  for (const Unit& unit : kSizeUnits) {
    if (equal_ignoring_case(text, unit.name)) return times(*value, unit.factor);
  }
  return std::nullopt;
}

std::string format_size(std::int64_t octets) {
  for (const Unit& unit : kSizeUnits) {
    if (octets >= unit.factor && octets % unit.factor == 0) {
      return fmt::format("{} {}", octets / unit.factor, unit.name);
    }
  }
  return fmt::format("{} B", octets);
}

}  // namespace replygate

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/time.h"

// Numbers with units as a policy writes them. Parsing is strict: nothing for whatever does not fit wholly.
namespace replygate {

// Counts and sizes go up to here, so that sums of them stay numbers on every store. What is written beyond comes as
// kMostQuantity + 1.
constexpr std::int64_t kMostQuantity = 1'000'000'000'000'000;

// "50ms", "30s", "5m", "1h30m", "1d", "1w": one or more whole numbers with unit, largest unit first; above 0, at most
// 10 years.
std::optional<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration duration);  // "1h30m"; below a millisecond "0s"

// "100", "20k", "5M": k = 1000, M = 1000000.
std::optional<std::int64_t> parse_count(std::string_view text);

// Octets: "25 MiB", "25MB", "10 kB", "1 GiB", "512 B"; kB, MB, GB, TB are powers of 1000. A unit is a must.
std::optional<std::int64_t> parse_size(std::string_view text);
std::string format_size(std::int64_t octets);  // shortest exact form, e.g. "25 MiB"

}  // namespace replygate

#pragma once

#include <cstdint>
#include <string_view>

#include "policy/base/time.h"
#include "policy/load/context.h"

// Keys of a table that are a quantity. Each leaves `value` as it is where the key is absent, or wrong, which is
// reported.
namespace replygate {

// Both ends belong to it, durations in milliseconds; the texts are the ends as a policy writes them.
struct Range {
  std::int64_t least;
  std::int64_t most;
  std::string_view least_text;
  std::string_view most_text;
};

void read_number(Context& context, const Node& table, std::string_view key, const Range& range, std::int64_t& value);
void read_size(Context& context, const Node& table, std::string_view key, const Range& range, std::int64_t& value);
// The most that a time in settings is, in milliseconds: a leap year.
inline constexpr std::int64_t kLongestKept = std::int64_t{366} * 86'400'000;
void read_duration(Context& context, const Node& table, std::string_view key, const Range& range, Duration& value);

}  // namespace replygate

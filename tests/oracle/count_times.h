#pragma once

#include <cstdint>
#include <string>

#include "tests/oracle/count_world.h"

// When what was counted leaves: hundredths of a period, and the calendar of UTC and of Berlin. Written anew.
namespace replygate::oracle::counts {

// The instant from which on what was charged at `at` no longer counts.
std::int64_t leaves(std::int64_t at, std::int64_t seconds);

struct Span {
  std::int64_t begin;
  std::int64_t end;
};
// The day, week or month of local time that holds `now`.
Span calendar_span(Over over, std::int64_t now, bool berlin);

// Of "1d2h", in microseconds; -1 where it is none.
std::int64_t duration_of(const std::string& text);

}  // namespace replygate::oracle::counts

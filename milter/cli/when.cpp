#include "milter/cli/when.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>

#include "milter/local_time.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

std::string span_text(std::int64_t seconds) {
  if (seconds < 90) return fmt::format("{} s", seconds);
  if (seconds < 90 * 60) return fmt::format("{} min", (seconds + 30) / 60);
  if (seconds < 36 * 3600) return fmt::format("{} h", (seconds + 1800) / 3600);
  return fmt::format("{} d", (seconds + 43200) / 86400);
}

}  // namespace

std::string local_time(const std::string& rfc3339) {
  const auto time = parse_time(rfc3339);
  return time ? fmt::format("{:%Y-%m-%d %H:%M:%S}", local_parts(*time)) : rfc3339;
}

std::string local_clock(const std::string& rfc3339) {
  const auto time = parse_time(rfc3339);
  return time ? fmt::format("{:%H:%M:%S}", local_parts(*time)) : rfc3339;
}

std::string time_from_now(const std::string& rfc3339) {
  const auto time = parse_time(rfc3339);
  if (!time) return rfc3339;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto apart = std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch() - now).count();
  if (apart == 0) return "now";
  return apart < 0 ? span_text(-apart) + " ago" : "in " + span_text(apart);
}

}  // namespace replygate

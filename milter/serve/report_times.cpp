#include "milter/serve/report_times.h"

#include "milter/local_time.h"

namespace replygate {
namespace {

constexpr int kDaysOfWeek = 7;

// At that minute of a local day, `days` before the day of `parts`. Where a clock change leaves the minute out, it is
// the one that takes its place.
Instant on_day(std::tm parts, int days, std::int64_t minute) {
  parts.tm_mday -= days;
  parts.tm_hour = static_cast<int>(minute / 60);
  parts.tm_min = static_cast<int>(minute % 60);
  parts.tm_sec = 0;
  parts.tm_isdst = -1;
  return Instant(std::chrono::seconds(std::mktime(&parts)));
}

}  // namespace

Instant report_due(const ReportSettings& settings, Instant now) {
  const std::tm today = local_parts(now);
  const bool daily = settings.every == ReportSettings::Every::day;
  const int since_monday = (today.tm_wday + kDaysOfWeek - 1) % kDaysOfWeek;
  const int back = daily ? 0 : since_monday;
  const Instant due = on_day(today, back, settings.at);
  return due <= now ? due : on_day(today, back + (daily ? 1 : kDaysOfWeek), settings.at);
}

}  // namespace replygate

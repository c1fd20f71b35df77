#pragma once

#include <optional>
#include <string_view>

#include "policy/base/time.h"
#include "policy/remote/log_prefix.h"

namespace replygate {

// Makes instants of the times of a log that was written on a host with this one's time zone. The traditional form has
// no year: it is the last one in which the time was not after `latest`. An hour that the clock repeats in autumn is the
// second one where the line before is too late for the first. One thread.
class LogClock {
 public:
  // `latest`: when the log was written last.
  explicit LogClock(Instant latest) : latest_(latest) {}
  void written(Instant latest) { latest_ = latest; }

  // What has no time has that of the line before.
  Instant read(std::string_view line) { return own_time(line).value_or(last_); }
  // Nothing: it has no time, or none that can be read.
  std::optional<Instant> own_time(std::string_view line);

 private:
  // When a local time was: twice where the clock was put back.
  struct Begins {
    Instant first{};
    Instant second{};
    bool named = false;  // the first one is summer time, the second one is not
  };
  const Begins& begins(const LogTime& time, int year);
  Instant local(const LogTime& time, int year, Duration within);
  int year_of(const LogTime& time) const;

  Instant latest_;
  Instant last_{};
  // The half of an hour that was asked for last: local time costs.
  LogTime half_;
  Begins begins_;
};

}  // namespace replygate

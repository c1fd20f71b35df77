#pragma once

#include "policy/base/time.h"
#include "policy/remote/log_prefix.h"

namespace replygate {

// Makes instants of the times of a log that was written on a host with this one's time zone. The traditional form has
// no year: it is the last one in which the time was not after `latest`. One thread.
class LogClock {
 public:
  // `latest`: when the log was written last.
  explicit LogClock(Instant latest) : latest_(latest) {}

  // What has no time has that of the line before.
  Instant read(std::string_view line);

 private:
  Instant local(const LogTime& time, int year);

  Instant latest_;
  Instant last_{};
  // The hour that was asked for last: local time costs.
  LogTime hour_;
  Instant begin_{};
};

}  // namespace replygate

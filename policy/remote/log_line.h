#pragma once

#include <cstdint>
#include <string_view>

#include "policy/remote/log_event.h"
#include "policy/remote/status.h"

// Reads one line of a mail log. Each field is taken from its grammatical place: what a remote server wrote stands
// behind all of them and is data, whatever it looks like. Pure; any thread; fit for a hundred thousand lines a second.
namespace replygate {

enum class LogLine : std::uint8_t {
  none,     // no line of a mail log
  other,    // one that tells of no attempt to deliver
  attempt,  // one that does
};

struct LogStatus {
  LogLine kind = LogLine::none;
  RemoteStatus status;  // of an attempt
};

// Lines of Postfix (delivery agents, and smtpd's own refusals), Sendmail and Exim, with or without syslog's prefix.
LogStatus read_log_line(std::string_view line);

// What an attempt or a refusal came to.
RemoteStatus status_of(const LogEvent& event);

}  // namespace replygate

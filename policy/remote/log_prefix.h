#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// What syslog writes before a message. Pure; any thread.
namespace replygate {

// A time as a log shows it.
struct LogTime {
  int year = 0;  // 0: the traditional form, which has none
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  std::int64_t microseconds = 0;
  std::optional<int> offset;  // minutes east of Greenwich; nothing: the local time of the host that wrote it
  std::string_view zone;      // "CEST" where the form names it; borrows the line
};

// "Nov 25 12:41:56", "2026-11-25T12:41:56.123456+01:00", "2026-11-25 12:41:56 +0100", "Wed 2026-11-25 12:41:56 CET" or
// "1795606916.123456" at the begin of a line, with a priority such as "<22>" before it or without.
std::optional<LogTime> log_time(std::string_view line);

// "Nov 25 12:41:56 mx postfix/smtp[9905]: ". Borrows the line.
struct LogPrefix {
  std::string_view program;    // "" where there is no prefix
  std::string_view pid;        // "" without
  std::string_view rest;       // what the program wrote
  std::string_view host = {};  // that wrote it; "" where the line has none
};
LogPrefix log_prefix(std::string_view line);

}  // namespace replygate

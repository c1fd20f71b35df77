#pragma once

#include <string>

namespace replygate {

// Times for people; "" stays "". What is no RFC 3339 time stays as it is.
std::string local_time(const std::string& rfc3339);     // "2026-11-29 18:02:11", of this host's time zone
std::string local_clock(const std::string& rfc3339);    // "18:02:11"
std::string time_from_now(const std::string& rfc3339);  // "3 min ago", "in 2 h", "now"

}  // namespace replygate

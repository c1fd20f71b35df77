#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/remote/status.h"

namespace replygate {

// Recipients of one report that are read.
inline constexpr std::size_t kMostAttempts = 10'000;

// What somebody has: a line, a reply of several lines, lines of a mail log, fields of a delivery report, or a message.
// Every attempt to deliver that it tells of; empty for a message that is no bounce and for lines that tell of none.
std::vector<RemoteStatus> read_attempts(std::string_view text);

// One line alone, as read_attempts() would take it.
std::vector<RemoteStatus> read_line(std::string_view line);

}  // namespace replygate

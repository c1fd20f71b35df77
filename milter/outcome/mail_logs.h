#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "policy/remote/mail_trail.h"

namespace replygate {

// How far a reading is.
struct LogProgress {
  std::int64_t lines = 0;
  std::int64_t octets = 0;
  std::int64_t of_octets = 0;  // 0: nobody knows
};
using TellProgress = std::function<void(const LogProgress&)>;

struct LogFigures {
  std::int64_t lines = 0;
  std::int64_t told = 0;     // lines that told of mail
  std::int64_t undated = 0;  // likewise, but without a time that could be read: left out
  Instant last{};            // that a line was written
  MailTrail::Figures trail;
  std::vector<std::string> troubles;  // of files that could be read in part only, for people
};

// Reads logs of mail servers, as files, "-" or pipes, with "journal" for systemd's journal, and tells `listener` of the
// mail in them. Rotated ones follow each other; those of the same time, as of several hosts, are read side by side, in
// the order of their lines' times. They are named in any order. On failure the reason, for people.
tl::expected<LogFigures, std::string> read_mail_logs(const std::vector<std::string>& files,
                                                     MailTrail::Listener& listener, const TellProgress& progress);

}  // namespace replygate

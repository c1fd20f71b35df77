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
  std::int64_t told = 0;  // lines that told of mail
  MailTrail::Figures trail;
  std::vector<std::string> troubles;  // files that ended early
};

// Reads logs of mail servers, rotated ones in any order, as files or "-", with "journal" for systemd's journal, and
// tells `listener` of the mail in them. On failure the reason, for people.
tl::expected<LogFigures, std::string> read_mail_logs(const std::vector<std::string>& files,
                                                     MailTrail::Listener& listener, const TellProgress& progress);

}  // namespace replygate

#pragma once

#include <string_view>

#include "policy/remote/log_event.h"

// What each MTA writes. False: it is no such line. Pure; any thread.
namespace replygate {

// Which of Postfix's daemons wrote it: "smtp" of "postfix/submission/smtp"; "" where none did.
std::string_view postfix_daemon(std::string_view program);
// `daemon`: "" where nobody knows.
bool read_postfix(std::string_view daemon, std::string_view rest, LogEvent& event);
bool read_sendmail(std::string_view rest, LogEvent& event);
// The whole line.
bool read_exim(std::string_view line, LogEvent& event);

}  // namespace replygate

#include "milter/log/syslog.h"

#include <syslog.h>

#include "policy/decide/record_summary.h"

namespace replygate {

Syslog::Syslog(std::string socket) : socket_(std::move(socket)) { ::openlog("replygate", LOG_PID, LOG_MAIL); }

void Syslog::close() {
  backlog_.close();
  ::closelog();
}

void Syslog::hear(Rendering& rendering) {
  const Record& r = rendering.record();
  if (refusal_of(r, nullptr) != nullptr) backlog_.add(summary(r, nullptr));
  for (const JudgedRecipient& judged : r.recipients) {
    if (refusal_of(r, &judged) != nullptr) backlog_.add(summary(r, &judged));
  }
}

bool Syslog::deliver(const Backlog::Entries& entries) const {
  for (const std::string& entry : entries) ::syslog(LOG_NOTICE, "%s", entry.c_str());
  return trouble().empty();
}

}  // namespace replygate

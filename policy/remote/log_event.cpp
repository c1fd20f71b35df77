#include "policy/remote/log_event.h"

#include "policy/remote/log_grammar.h"

namespace replygate {

// postsuper removes what somebody has deleted by hand; qmgr, what has come to its end.
bool gives_up(const LogEvent& event) {
  const bool deleted = event.mta == LogMta::exim || postfix_daemon(event.program) == "postsuper";
  return event.kind == LogEventKind::expired || (event.kind == LogEventKind::removed && deleted);
}

LogEvent read_log_event(const LogPrefix& prefix) {
  LogEvent event;
  event.host = prefix.host;
  event.program = prefix.program;
  event.pid = prefix.pid;
  if (!prefix.program.empty()) event.kind = LogEventKind::other;
  const std::string_view daemon = postfix_daemon(prefix.program);
  if ((!daemon.empty() || prefix.program.empty()) && read_postfix(daemon, prefix.rest, event)) {
    event.mta = LogMta::postfix;
  } else if (daemon.empty() && read_sendmail(prefix.rest, event)) {
    event.mta = LogMta::sendmail;
  } else if (prefix.program.starts_with("exim") && read_exim(prefix.rest, event)) {
    event.mta = LogMta::exim;
  }
  return event;
}

LogEvent read_log_event(std::string_view line) {
  LogEvent event;
  if (read_exim(line, event)) {
    event.mta = LogMta::exim;
    return event;
  }
  return read_log_event(log_prefix(line));
}

}  // namespace replygate

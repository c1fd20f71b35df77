#include "policy/remote/log_line.h"

#include "policy/remote/log_event.h"
#include "policy/remote/reply_reader.h"

namespace replygate {
namespace {

std::optional<Severity> severity_of_status(std::string_view word) {
  if (word == "sent" || word == "deliverable") return Severity::success;
  if (word == "deferred" || word == "SOFTBOUNCE") return Severity::transient;  // with soft_bounce = yes
  if (word == "bounced" || word == "expired" || word == "undeliverable") return Severity::permanent;
  return std::nullopt;
}

// The reply in `text`, and what the log says beside it: dsn= and status= go first.
void take_text(RemoteStatus& status, std::string_view text, std::optional<EnhancedCode> dsn) {
  RemoteStatus read = read_status(text);
  const bool agrees =
      read.code && (!status.told || severity_of(*read.code) == *status.told || *status.told != Severity::success);
  if (agrees) status.code = read.code;
  status.enhanced = dsn ? dsn : read.enhanced;
  status.text = std::move(read.text);
  status.at = read.at;
  if (status.host.empty()) status.host = std::move(read.host);
}

void take_postfix(const LogEvent& event, RemoteStatus& status) {
  status.recipient = event.recipient;
  status.host = event.relay == "none" ? "" : std::string(event.relay.substr(0, event.relay.find('[')));
  status.told = severity_of_status(event.status);
  take_text(status, event.text, EnhancedCode::parse(event.dsn));
}

void take_refusal(const LogEvent& event, RemoteStatus& status) {
  status.own = true;
  if (event.mta == LogMta::exim) status.told = severity_of_status(event.status);
  take_text(status, event.text, std::nullopt);
  status.host.clear();
  status.recipient = event.recipient;
}

void take_sendmail(const LogEvent& event, RemoteStatus& status) {
  const std::string_view to = event.recipient;
  status.recipient = to.size() > 2 && to.front() == '<' ? to.substr(1, to.size() - 2) : to;
  status.host = event.relay.substr(0, event.relay.find_first_of(" ["));
  if (!status.host.empty() && status.host.back() == '.') status.host.pop_back();
  auto enhanced = EnhancedCode::parse(event.dsn);
  const auto coded = enhanced ? severity_of(enhanced->severity * 100) : Severity::permanent;
  status.told = event.text.starts_with("Sent")       ? Severity::success
                : event.text.starts_with("Deferred") ? Severity::transient
                                                     : coded;
  // What is left of another recipient of the message.
  if (coded != status.told) enhanced.reset();
  take_text(status, event.text, enhanced);
  if (status.code || event.reply.empty() || status.told == Severity::success) return;
  const RemoteStatus said = read_status(event.reply);  // of this message where it agrees with dsn=
  if (said.code && said.enhanced == enhanced && severity_of(*said.code) == status.told) {
    status.code = said.code;
    status.text = said.text + " (" + status.text + ")";
  }
}

void take_exim(const LogEvent& event, RemoteStatus& status) {
  status.recipient = event.recipient;
  status.host = event.relay;
  status.told = severity_of_status(event.status);
  take_text(status, event.text, std::nullopt);
}

}  // namespace

RemoteStatus status_of(const LogEvent& event) {
  RemoteStatus status;
  status.id = event.id;
  status.unasked = event.unasked;
  if (event.kind == LogEventKind::refusal) {
    take_refusal(event, status);
  } else if (event.mta == LogMta::postfix) {
    take_postfix(event, status);
  } else if (event.mta == LogMta::sendmail) {
    take_sendmail(event, status);
  } else {
    take_exim(event, status);
  }
  return status;
}

LogStatus read_log_line(std::string_view line) {
  const LogEvent event = read_log_event(line);
  if (event.kind == LogEventKind::none) return {};
  const bool tells = event.kind == LogEventKind::attempt || event.kind == LogEventKind::refusal;
  if (!tells) return {LogLine::other, {}};
  return {LogLine::attempt, status_of(event)};
}

}  // namespace replygate

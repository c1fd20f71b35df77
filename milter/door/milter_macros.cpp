#include "milter/door/milter_macros.h"

namespace replygate {

std::string reply_line(std::string_view text) {
  constexpr std::size_t kMost = 980;
  std::string line;
  for (const char c : text) {
    const std::string_view written = c == '%' ? "%%" : std::string_view(&c, 1);
    if (line.size() + written.size() > kMost) break;
    line += written;
  }
  return line;
}

std::string client_name(std::string_view host) {
  return host.empty() || host.starts_with('[') ? "unknown" : std::string(host);
}

RcptEvent rcpt_event(std::string_view argument, const std::optional<RcptMacros>& macros, bool shows_refused) {
  RcptEvent event;
  event.recipient = argument;
  if (!macros) return event;
  if (macros->mailer == "error") {
    // A bare enhanced code as host marks a refusal; with text behind it, it is Postfix's way to route a virtual alias.
    if (shows_refused && EnhancedCode::parse(macros->host)) {
      event.mta_refused = true;
      event.mta_status = macros->host;
      event.mta_text = macros->address;
      return event;
    }
    event.route = "local";
  } else {
    event.route = macros->mailer;
  }
  event.rewritten = macros->address;
  return event;
}

}  // namespace replygate

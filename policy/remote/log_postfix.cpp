#include <algorithm>
#include <array>

#include "policy/mail/text.h"
#include "policy/remote/log_fields.h"
#include "policy/remote/log_grammar.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 11> kDelivering = {"smtp",  "lmtp",    "local",  "virtual", "pipe", "error",
                                                          "retry", "discard", "bounce", "qmgr",    "oqmgr"};
constexpr std::array<std::string_view, 13> kOthers = {"smtpd",  "pickup",   "cleanup",        "postscreen", "postsuper",
                                                      "qmqpd",  "verify",   "anvil",          "scache",     "tlsproxy",
                                                      "tlsmgr", "postdrop", "trivial-rewrite"};

bool delivers(std::string_view daemon) {
  return daemon.empty() || std::ranges::find(kDelivering, daemon) != kDelivering.end();
}
bool takes_mail(std::string_view daemon) { return daemon.empty() || daemon == "smtpd" || daemon == "qmqpd"; }
bool queues(std::string_view daemon) { return daemon.empty() || daemon == "qmgr" || daemon == "oqmgr"; }

std::string_view alnum_word(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (is_digit(text[end]) || is_alpha(text[end]))) ++end;
  return text.substr(0, end);
}

std::int64_t count_in(std::string_view digits) {
  std::int64_t number = 0;
  for (const char c : digits.substr(0, 15)) {
    if (!is_digit(c)) break;
    number = number * 10 + (c - '0');
  }
  return number;
}

// "NAME[ADDRESS]" with ":PORT" where it is told.
void take_client(std::string_view text, LogEvent& event) {
  const std::size_t open = text.find('[');
  const std::size_t close = open == std::string_view::npos ? open : text.find(']', open);
  if (close == std::string_view::npos) return;
  event.client_name = text.substr(0, open);
  event.client_ip = text.substr(open + 1, close - open - 1);
}

// The id under which the next server has it: its last word of success.
void take_next(LogEvent& event) {
  if (event.status != "sent") return;
  for (const std::string_view lead : {"queued as ", "forwarded as "}) {
    const std::size_t place = event.text.rfind(lead);
    if (place == std::string_view::npos) continue;
    event.next = alnum_word(event.text.substr(place + lead.size()));
    return;
  }
}

// "to=<a>, [orig_to=<b>,] relay=…, [conn_use=…,] delay=…, delays=…, [tls=…,] dsn=…, status=WORD (…)"
bool read_attempt(LogFields& fields, LogEvent& event) {
  const auto to = fields.address("to");
  if (!to) return false;
  event.recipient = *to;
  event.original = fields.address("orig_to").value_or("");
  bool named = false;
  while (!fields.rest().starts_with("status=")) {
    const auto field = fields.next();
    if (!field) return false;
    if (field->key == "relay") {
      event.relay = field->value;
      event.unasked = event.relay == "none";
      named = true;
    } else if (field->key == "dsn") {
      event.dsn = field->value;
    }
  }
  if (!named || event.dsn.empty()) return false;
  event.status = *fields.last_word("status");
  event.text = in_parentheses(fields.rest());
  event.kind = LogEventKind::attempt;
  take_next(event);
  return true;
}

// "client=NAME[ADDRESS], [orig_queue_id=…, orig_client=…,] sasl_method=…, sasl_username=…, [sasl_sender=…]"
bool read_client(std::string_view rest, LogEvent& event) {
  if (!rest.starts_with("client=")) return false;
  rest.remove_prefix(7);
  event.kind = LogEventKind::client;
  take_client(rest.substr(0, rest.find(", ")), event);
  while (true) {
    const std::size_t comma = rest.find(", ");
    if (comma == std::string_view::npos) return true;
    rest.remove_prefix(comma + 2);
    const std::size_t equals = std::min(rest.find('='), rest.size());
    const std::string_view key = rest.substr(0, equals);
    const std::string_view value = rest.substr(std::min(rest.size(), equals + 1));
    if (key == "sasl_method") event.mechanism = value.substr(0, value.find(", "));
    if (key == "sasl_username") event.user = value.substr(0, value.find(", sasl_sender="));
    if (key == "orig_queue_id") event.next = alnum_word(value);
    if (key == "sasl_username" || key == "sasl_sender") return true;
  }
}

// "uid=1000 from=<a>" and, of one that was put back, " orig_id=…"
bool read_pickup(std::string_view rest, LogEvent& event) {
  const std::size_t blank = rest.find(' ');
  if (!rest.starts_with("uid=") || blank == std::string_view::npos) return false;
  rest.remove_prefix(blank + 1);
  if (!rest.starts_with("from=")) return false;
  rest.remove_prefix(5);
  const auto from = take_bracketed(rest);
  if (!from) return false;
  event.kind = LogEventKind::client;
  event.local = true;
  event.client_name = "localhost";
  event.sender = *from;
  if (rest.starts_with(" orig_id=")) event.next = alnum_word(rest.substr(9));
  return true;
}

// "from=<a>, size=297, nrcpt=1 (queue active)", "from=<a>, status=expired, returned to sender", "removed"
bool read_queue(LogFields& fields, LogEvent& event) {
  if (fields.rest() == "removed") {
    event.kind = LogEventKind::removed;
    return true;
  }
  if (!fields.take("from=")) return false;
  const auto from = fields.bracketed();
  if (!from || !fields.take(", ")) return false;
  event.sender = *from;
  if (fields.rest().starts_with("status=expired") || fields.rest().starts_with("status=force-expired")) {
    event.kind = LogEventKind::expired;
    return true;
  }
  const auto size = fields.value("size");
  if (!size || !fields.take("nrcpt=")) return false;
  event.size = count_in(*size);
  event.recipients = count_in(fields.rest());
  event.kind = LogEventKind::sender;
  return true;
}

// "sender non-delivery notification: ID"
bool read_notice(std::string_view rest, LogEvent& event) {
  constexpr std::string_view kLead = "notification: ";
  const std::size_t place = rest.find(kLead);
  if (place == std::string_view::npos) return false;
  if (!rest.starts_with("sender ") && !rest.starts_with("postmaster ")) return false;
  event.next = alnum_word(rest.substr(place + kLead.size()));
  event.kind = LogEventKind::notice;
  return true;
}

// "<a>" behind the codes of a refusal, which may hold anything.
std::size_t behind_address(std::string_view text) {
  const std::size_t open = text.find_first_not_of("0123456789. -");
  if (open == std::string_view::npos || text[open] != '<') return 0;
  std::string_view rest = text.substr(open);
  return take_bracketed(rest) ? text.size() - rest.size() : 0;
}

// "; from=<a> to=<b> proto=ESMTP helo=<c>" behind what was said; postscreen writes commas between.
void take_envelope(LogEvent& event) {
  constexpr std::string_view kLead = "; from=";
  for (std::size_t place = event.text.find(kLead, behind_address(event.text)); place != std::string_view::npos;
       place = event.text.find(kLead, place + 1)) {
    std::string_view rest = event.text.substr(place + kLead.size());
    const auto sender = take_bracketed(rest);
    if (!sender) continue;
    if (rest.starts_with(',')) rest.remove_prefix(1);
    if (rest.starts_with(" to=")) {
      rest.remove_prefix(4);
      const auto recipient = take_bracketed(rest);
      if (!recipient) continue;
      event.recipient = *recipient;
    } else if (!rest.starts_with(" proto=")) {
      continue;
    }
    event.sender = *sender;
    event.text = event.text.substr(0, place);
    return;
  }
}

// "; proto=ESMTP helo=<c>" where no envelope is told.
void cut_protocol(LogEvent& event) {
  constexpr std::string_view kLead = "; proto=";
  const std::size_t place = event.text.rfind(kLead);
  if (place == std::string_view::npos) return;
  std::string_view rest = event.text.substr(place + kLead.size());
  rest.remove_prefix(alnum_word(rest).size());
  if (rest.empty() || (rest.starts_with(" helo=<") && rest.ends_with('>'))) event.text = event.text.substr(0, place);
}

// "reject: RCPT from host[ip]: 550 5.1.1 …; from=<a> to=<b> proto=ESMTP helo=<c>"
bool read_refusal(LogFields& fields, LogEvent& event) {
  event.by_filter = fields.take("milter-reject: ") || fields.take("proxy-reject: ");
  if (!event.by_filter && !fields.take("reject: ")) return false;
  const std::string_view said = fields.rest();
  const std::size_t from = said.find(" from ");
  const std::size_t close = from == std::string_view::npos ? from : said.find(']', from);
  const std::size_t end = close == std::string_view::npos ? close : said.find(": ", close);
  if (end == std::string_view::npos) return false;
  event.kind = LogEventKind::refusal;
  take_client(said.substr(from + 6, end - from - 6), event);
  event.text = said.substr(end + 2);
  take_envelope(event);
  cut_protocol(event);
  return true;
}

}  // namespace

std::string_view postfix_daemon(std::string_view program) {
  const std::size_t slash = program.rfind('/');
  if (slash == std::string_view::npos) return "";
  const std::string_view last = program.substr(slash + 1);
  if (std::ranges::find(kDelivering, last) != kDelivering.end()) return last;
  if (std::ranges::find(kOthers, last) != kOthers.end()) return last;
  return program.starts_with("postfix") ? last : "";
}

bool read_postfix(std::string_view daemon, std::string_view rest, LogEvent& event) {
  LogFields fields(rest);
  const auto id = fields.id();
  if (!id) return false;
  event.id = *id;
  if (delivers(daemon) && read_attempt(fields, event)) return true;
  if (queues(daemon) && read_queue(fields, event)) return true;
  if (takes_mail(daemon) && read_client(fields.rest(), event)) return true;
  if ((daemon.empty() || daemon == "pickup") && read_pickup(fields.rest(), event)) return true;
  if ((daemon.empty() || daemon == "bounce") && read_notice(fields.rest(), event)) return true;
  if (daemon == "postsuper" && fields.rest() == "removed") {
    event.kind = LogEventKind::removed;
    return true;
  }
  constexpr std::string_view kMessageId = "message-id=<";
  if (daemon == "cleanup" && fields.rest().starts_with(kMessageId) && fields.rest().ends_with('>')) {
    event.text = fields.rest().substr(kMessageId.size(), fields.rest().size() - kMessageId.size() - 1);
    event.kind = LogEventKind::named;
    return true;
  }
  const bool refuses = takes_mail(daemon) || daemon == "cleanup" || daemon == "postscreen";
  if (refuses && read_refusal(fields, event)) return true;
  event.id = "";
  return false;
}

}  // namespace replygate

#include <algorithm>
#include <array>

#include "policy/mail/text.h"
#include "policy/remote/log_fields.h"
#include "policy/remote/log_grammar.h"

namespace replygate {
namespace {

std::int64_t octets_in(std::string_view text) {
  std::int64_t number = 0;
  for (const char c : text.substr(0, 15)) {
    if (!is_digit(c)) break;
    number = number * 10 + (c - '0');
  }
  return number;
}

// "host.example [192.0.2.9]", "[IPv6:2001:db8::1]", "root@localhost"
void take_relay(std::string_view text, LogEvent& event) {
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos) {
    event.local = text.ends_with("@localhost");
    event.client_name = event.local ? "localhost" : text;
    return;
  }
  const std::size_t close = std::min(text.find(']', open), text.size());
  event.client_name = trim(text.substr(0, open));
  event.client_ip = text.substr(open + 1, close - open - 1);
  if (event.client_ip.starts_with("IPv6:")) event.client_ip.remove_prefix(5);
  if (event.client_name.empty() || text.ends_with("(may be forged)")) event.client_name = "unknown";
}

// "<a>,<b>, " or a word of this host's own up to ", "
std::optional<std::string_view> take_recipients(LogFields& fields) {
  if (!fields.take("to=")) return std::nullopt;
  const std::string_view all = fields.rest();
  std::string_view rest = all;
  while (take_bracketed(rest) && rest.starts_with(",<")) rest.remove_prefix(1);
  const std::size_t end =
      rest.size() < all.size() && rest.starts_with(", ") ? all.size() - rest.size() : all.find(", ");
  if (end == std::string_view::npos) return std::nullopt;
  fields.take(all.substr(0, end + 2));
  return all.substr(0, end);
}

// An address stands behind the name of a host that was spoken to. Local mailers have no host, or one of their own.
bool is_unasked(std::string_view mailer, std::string_view relay) {
  const bool speaks_smtp = mailer.find("smtp") != std::string_view::npos || mailer == "relay";
  return mailer == "error" || relay == "[none]" ||
         (speaks_smtp && !relay.empty() && relay.find(" [") == std::string_view::npos);
}

// "to=<a>, [ctladdr=…,] delay=…, xdelay=…, mailer=…, pri=…, relay=…, dsn=…, [reply=…,] stat=…"
bool read_to(LogFields& fields, LogEvent& event) {
  const auto to = take_recipients(fields);
  if (!to) return false;
  event.recipient = *to;
  std::string_view mailer;
  while (!fields.rest().starts_with("stat=")) {
    if (const auto reply = fields.value_before("reply", ", stat=")) {
      event.reply = *reply;
      continue;
    }
    const auto field = fields.next();
    if (!field) return false;
    if (field->key == "mailer") mailer = field->value;
    if (field->key == "relay") event.relay = field->value;
    if (field->key == "dsn") event.dsn = field->value;
  }
  event.unasked = is_unasked(mailer, event.relay);
  fields.take("stat=");
  event.text = fields.rest();
  event.status = event.text.substr(0, event.text.find_first_of(" :("));
  // No mailer has it: it was refused at its end, and the client was told so.
  event.whole = mailer.empty() && event.dsn.empty();
  event.kind = event.text.starts_with("queued") ? LogEventKind::other  // taken, and not tried yet
               : event.whole                    ? LogEventKind::refusal
                                                : LogEventKind::attempt;
  return true;
}

// "from=<a>, size=34, class=0, nrcpts=1, msgid=<…>, proto=ESMTPA, daemon=MTA, relay=localhost [127.0.0.1]"
bool read_from(LogFields& fields, LogEvent& event) {
  if (!fields.take("from=")) return false;
  if (const auto bracketed = fields.bracketed()) {
    event.sender = *bracketed;
    if (!fields.take(", ")) return false;
  } else {
    const std::size_t end = fields.rest().find(", ");
    if (end == std::string_view::npos) return false;
    event.sender = fields.rest().substr(0, end);
    fields.take(fields.rest().substr(0, end + 2));
  }
  const auto size = fields.value("size");
  if (!size) return false;
  event.size = octets_in(*size);
  fields.value("class");
  event.recipients = octets_in(fields.value("nrcpts").value_or(""));
  const std::size_t relay = fields.rest().rfind("relay=");
  if (relay != std::string_view::npos) take_relay(fields.rest().substr(relay + 6), event);
  event.kind = LogEventKind::sender;
  return true;
}

// "AUTH=server, relay=localhost [127.0.0.1], authid=alice, mech=CRAM-MD5, bits=0"
bool read_auth(std::string_view rest, LogEvent& event) {
  constexpr std::string_view kLead = "AUTH=server, relay=";
  if (!rest.starts_with(kLead)) return false;
  const std::size_t user = rest.find(", authid=");
  const std::size_t mechanism = rest.rfind(", mech=");
  if (user == std::string_view::npos || mechanism == std::string_view::npos || mechanism < user) return false;
  take_relay(rest.substr(kLead.size(), user - kLead.size()), event);
  event.user = rest.substr(user + 9, mechanism - user - 9);
  event.mechanism = rest.substr(mechanism + 7, rest.find(", ", mechanism + 7) - mechanism - 7);
  event.kind = LogEventKind::login;
  return true;
}

// "Milter: data, reject=550 5.7.1 …", also of "header", "body" and others
bool read_whole_refusal(LogFields fields, LogEvent& event) {
  if (!fields.take("Milter: ")) return false;
  const std::size_t said = fields.rest().find(", reject=");
  if (said == std::string_view::npos || fields.rest().substr(0, said).find_first_of("=<") != std::string_view::npos) {
    return false;
  }
  event.text = fields.rest().substr(said + 9);
  event.whole = true;
  event.by_filter = true;
  event.kind = LogEventKind::refusal;
  return true;
}

// "Milter: to=<a>, reject=451 4.7.1 …", "ruleset=check_rcpt, arg1=<a>, relay=…, reject=550 5.7.1 …"
bool read_ruleset(LogFields& fields, LogEvent& event) {
  const bool milter = fields.take("Milter: to=");
  if (!milter && !(fields.take("ruleset=check_rcpt, ") && fields.take("arg1="))) return false;
  const auto recipient = fields.bracketed();
  const std::size_t said = fields.rest().find(", reject=");
  if (!recipient || said == std::string_view::npos) return false;
  if (fields.rest().starts_with(", relay=")) take_relay(fields.rest().substr(8, said - 8), event);
  event.recipient = *recipient;
  event.text = fields.rest().substr(said + 9);
  event.by_filter = milter;
  event.kind = LogEventKind::refusal;
  return true;
}

// "DSN: User unknown", "DSN: Cannot send message for 5 days"; the last is all that is said of mail that is too old. It
// is a "sender notify" where the sender was warned before, and a "postmaster notify" where there is no sender.
bool read_notice(LogFields& fields, LogEvent& event) {
  constexpr std::array<std::string_view, 4> kLeads = {
      "DSN: ", "sender notify: ", "return to sender: ", "postmaster notify: "};
  if (std::ranges::none_of(kLeads, [&](std::string_view lead) { return fields.take(lead); })) return false;
  const bool too_old = fields.rest().starts_with("Cannot send message ");
  event.kind = too_old ? LogEventKind::expired : LogEventKind::notice;
  return true;
}

// "ID: ID2: DSN: User unknown", "ID: clone: owner=…" behind the first id
bool read_new_id(LogFields& fields, LogEvent& event) {
  const auto next = fields.id();
  if (!next) return false;
  event.next = *next;
  if (read_notice(fields, event)) return true;
  if (!fields.rest().starts_with("clone")) return false;
  event.kind = LogEventKind::copy;
  return true;
}

}  // namespace

bool read_sendmail(std::string_view rest, LogEvent& event) {
  if (read_auth(rest, event)) return true;
  LogFields fields(rest);
  const auto id = fields.id();
  if (!id) return false;
  event.id = *id;
  if (read_auth(fields.rest(), event) || read_to(fields, event) || read_from(fields, event) ||
      read_whole_refusal(fields, event) || read_ruleset(fields, event) || read_new_id(fields, event)) {
    return true;
  }
  event.id = "";
  return false;
}

}  // namespace replygate

#include <algorithm>

#include "policy/mail/text.h"
#include "policy/remote/log_fields.h"
#include "policy/remote/log_grammar.h"

namespace replygate {
namespace {

std::string_view up_to_blank(std::string_view text) { return text.substr(0, text.find(' ')); }

// Up to one of `ends` that is not within quotes: a local part may be quoted, and have anything in it.
std::string_view address_up_to(std::string_view text, std::string_view ends) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && ends.find(text[i]) != std::string_view::npos) {
      return text.substr(0, i);
    }
  }
  return quoted ? text.substr(0, text.find_first_of(ends)) : text;
}

std::string_view client_name_in(std::string_view host) {
  return host.starts_with('(') || host.starts_with('[') ? "unknown" : up_to_blank(host);
}

// "H=host.example (helo) [192.0.2.9]:4711 P=…", and gives what stands behind the address. The greeting may be anything,
// an address in brackets and fields included: the client's address is the last one behind a parenthesis.
std::string_view take_host(std::string_view after, LogEvent& event) {
  constexpr std::string_view kBehindGreeting = ") [";
  after.remove_prefix(2);
  event.client_name = client_name_in(after);
  const std::size_t greeting = after.rfind(kBehindGreeting);
  const std::size_t open = greeting == std::string_view::npos ? after.find('[') : greeting + kBehindGreeting.size() - 1;
  const std::size_t close = open == std::string_view::npos ? open : after.find(']', open);
  if (close == std::string_view::npos) return {};
  event.client_ip = after.substr(open + 1, close - open - 1);
  return after.substr(close + 1);
}

// "<= a@b H=host [ip] P=esmtpsa A=plain:alice S=1234 id=…"; each field behind the one before.
void read_arrival(std::string_view rest, LogEvent& event) {
  event.kind = LogEventKind::sender;
  event.sender = address_up_to(rest, " ");
  event.local = true;
  rest.remove_prefix(std::min(rest.size(), event.sender.size() + 1));
  if (event.sender == "<>") event.sender = "";
  // What follows is the client's: id= is a header field, T= a subject.
  rest = rest.substr(0, std::min(rest.find(" id="), rest.find(" T=\"")));
  if (rest.starts_with("H=")) {
    rest = take_host(rest, event);
    event.local = false;
  }
  if (const std::size_t login = rest.find(" A="); login != std::string_view::npos) {
    const std::string_view value = up_to_blank(rest.substr(login + 3));
    const std::size_t colon = value.find(':');
    event.mechanism = value.substr(0, colon);
    if (colon != std::string_view::npos) event.user = value.substr(colon + 1);
  }
  if (const std::size_t size = rest.find(" S="); size != std::string_view::npos) {
    for (const char c : up_to_blank(rest.substr(size + 3)).substr(0, 15)) {
      if (is_digit(c)) event.size = event.size * 10 + (c - '0');
    }
  }
}

std::string_view status_of_sign(std::string_view sign) {
  if (sign == "** ") return "bounced";
  if (sign == "== ") return "deferred";
  if (sign == "=> " || sign == "-> " || sign == ">> ") return "sent";
  return "";
}

// No transport was called: routers alone have decided.
bool is_unasked(std::string_view after) {
  const std::string_view fields = after.substr(0, after.find(": "));
  return fields.find(" T=") == std::string_view::npos && fields.find(" H=") == std::string_view::npos;
}

// "** a@b <c@d> R=… T=… H=host [ip]: text"
void read_delivery(std::string_view rest, LogEvent& event) {
  event.kind = LogEventKind::attempt;
  event.recipient = address_up_to(rest, " :");
  std::string_view after = rest.substr(event.recipient.size());
  if (after.starts_with(" <")) {
    std::string_view behind = after.substr(1);
    if (const auto original = take_bracketed(behind)) {
      event.original = *original;
      after = behind;
      // The name of a mailbox here; what was deferred before has the address.
      const bool is_address = event.recipient.find('@') != std::string_view::npos;
      if (!is_address && event.original.find('@') != std::string_view::npos) event.recipient = event.original;
    }
  }
  if (const std::size_t host = after.find(" H="); host != std::string_view::npos) {
    event.relay = after.substr(host + 3, after.find_first_of(" [:", host + 3) - host - 3);
  }
  event.unasked = is_unasked(after);
  const std::size_t text = event.status == "sent" ? after.find(" C=\"") : after.find(": ");
  const std::size_t lead = event.status == "sent" ? 3 : 2;
  event.text = text != std::string_view::npos ? after.substr(text + lead) : event.status == "sent" ? "" : after;
}

// " KEY=value", the value in quotes or up to a blank. False: it is none.
bool skip_field(std::string_view& rest) {
  std::size_t i = 1;
  while (i < rest.size() && is_alpha(rest[i])) ++i;
  if (i < 2 || i >= rest.size() || rest[i] != '=') return false;
  std::string_view value = rest.substr(i + 1);
  if (value.starts_with('<')) {
    if (!take_bracketed(value)) return false;
  } else {
    value.remove_prefix(address_up_to(value, " ").size());
  }
  rest = value;
  return true;
}

// Whether it begins with the words; they are taken away.
bool take_words(std::string_view& rest, std::string_view words) {
  if (!rest.starts_with(words)) return false;
  rest.remove_prefix(words.size());
  return true;
}

// What was rejected, and why: "RCPT <c@d>: text".
void read_rejected(std::string_view what, LogEvent& event) {
  event.text = what;
  if (take_words(what, "RCPT ")) {
    std::string_view behind = what;
    event.recipient = take_bracketed(behind).value_or(address_up_to(what, " :"));
    what = behind.size() < what.size() ? behind : what.substr(event.recipient.size());
  }
  const std::size_t text = what.find(": ");
  if (text != std::string_view::npos) event.text = what.substr(text + 2);
}

// "H=host (helo) [ip]:port". Of what looks like an end of the greeting the first one counts here.
bool take_refused_client(std::string_view& rest, LogEvent& event) {
  if (!take_words(rest, "H=")) return false;
  const std::size_t open = rest.find('[');
  const std::size_t greeting = rest.find(") [");
  const std::size_t address = greeting != std::string_view::npos && rest.find('(') < open ? greeting + 2 : open;
  const std::size_t close = rest.find(']', std::min(address, rest.size()));
  if (close == std::string_view::npos) return false;
  event.client_name = client_name_in(rest);
  event.client_ip = rest.substr(address + 1, close - address - 1);
  rest.remove_prefix(std::min(rest.size(), rest.find(' ', close)));
  return true;
}

// " X=… F=<a@b>", up to the verb. False: something else stands before it.
bool take_refused_sender(std::string_view& rest, LogEvent& event) {
  while (!rest.starts_with(" rejected ") && !rest.starts_with(" temporarily rejected ")) {
    std::string_view sender = rest;
    if (take_words(sender, " F=")) event.sender = take_bracketed(sender).value_or("");
    if (!skip_field(rest)) return false;
  }
  return true;
}

// "H=host (helo) [ip]:port X=… F=<a@b> temporarily rejected RCPT <c@d>: text", with an id once the message is there.
// The log has no code. The greeting may look like all of this: a line that has a second end of one tells nothing.
bool read_rejection(std::string_view rest, LogEvent& event) {
  LogEvent told = event;
  if (!take_refused_client(rest, told) || !take_refused_sender(rest, told)) return false;
  told.status = take_words(rest, " temporarily") ? "deferred" : "bounced";
  take_words(rest, " rejected ");
  read_rejected(rest, told);
  if (told.text.find(") [") != std::string_view::npos) return false;
  told.kind = LogEventKind::refusal;
  if (told.id.empty()) told.id = "NOQUEUE";
  event = told;
  return true;
}

}  // namespace

bool read_exim(std::string_view line, LogEvent& event) {
  LogFields fields(line);
  if (!fields.exim_start()) return false;
  event.kind = LogEventKind::other;
  event.id = fields.exim_id();
  const std::string_view rest = fields.rest();
  event.status = status_of_sign(rest.substr(0, 3));
  if (!event.status.empty()) {
    read_delivery(rest.substr(3), event);
  } else if (rest.starts_with("<= ")) {
    read_arrival(rest.substr(3), event);
  } else if (rest == "Completed" || rest.starts_with("Completed ")) {
    event.kind = LogEventKind::removed;
  } else {
    return read_rejection(rest, event) || !event.id.empty();
  }
  return true;
}

}  // namespace replygate

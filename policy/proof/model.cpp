#include "policy/proof/model.h"

#include <algorithm>

#include "policy/decide/session.h"

namespace replygate {
namespace {

void set_client(Connection& c, const std::optional<IpAddress>& ip, const Site& site) {
  c.ip = ip;
  c.ip_text = ip ? ip->text() : "";
  c.net = ip ? IpNetwork::around(*ip, ip->is_v4() ? site.ipv4_prefix : site.ipv6_prefix).text() : "";
}

void set_header(Transaction& t, const std::string& name, const std::string& value) {
  if (!value.empty()) t.headers.push_back({name, value});
}

MailboxUse mailbox_use(const Pick& pick) {
  if (!pick.known) return {};
  return pick.number < 0 ? MailboxUse::none() : MailboxUse::of(pick.number);
}

// The session is as old as before.
void set_clock(Model& model, std::int64_t minute_of_week, const Zone& zone) {
  const Duration age = model.now - model.connection.since;
  model.now = instant_at(model.now, minute_of_week, zone);
  model.connection.since = model.now - age;
}

constexpr std::int64_t kLongest = std::int64_t{50} * 365 * 24 * 3600;  // seconds that a session may last here

}  // namespace

Instant instant_at(Instant from, std::int64_t minute_of_week, const Zone& zone) {
  constexpr std::int64_t kWeek = std::int64_t{7} * 24 * 60;
  Instant at = from;
  for (std::int64_t i = 0; i <= kWeek + 120; ++i) {
    const LocalTime local = zone.local(at);
    if ((local.weekday - 1) * std::int64_t{24 * 60} + local.minute == minute_of_week) return at;
    at += std::chrono::minutes(1);
  }
  return from;
}

void Model::set(Slot slot, const std::string& header, const Pick& pick, const Site& site) {
  Connection& c = connection;
  Transaction& t = transaction;
  Recipient& r = recipient;
  switch (slot) {
    case Slot::client: return set_client(c, pick.ip, site);
    case Slot::client_name: c.name = pick.text; return;
    case Slot::client_port: c.port = pick.number; return;
    case Slot::listener: c.listener = pick.text; return;
    case Slot::helo: c.helo = pick.text; return;
    case Slot::tls_version: c.tls.version = pick.text; return;
    case Slot::tls_cipher: c.tls.cipher = pick.text; return;
    case Slot::tls_bits: c.tls.bits = pick.number; return;
    case Slot::tls_subject: c.tls.subject = pick.text; return;
    case Slot::tls_issuer: c.tls.issuer = pick.text; return;
    case Slot::sender:
      t.sender = pick.text.empty() ? Address() : mailbox_of(pick.text, site.subaddress);
      if (pick.number == 1) t.sender.form = Address::Form::malformed;
      t.sender_raw = pick.number == 1 ? "<someone@-.invalid>" : '<' + pick.text + '>';
      return;
    case Slot::user: t.set_user(pick.text, site.subaddress); return;
    case Slot::mechanism: t.mechanism = pick.text; return;
    case Slot::mismatch: t.sender_login_mismatch = pick.number != 0; return;
    case Slot::declared_size: t.declared_size = pick.number; return;
    case Slot::smtputf8: t.smtputf8 = pick.number != 0; return;
    case Slot::messages: c.messages = pick.number; return;
    case Slot::refusals: c.refusals = pick.number; return;
    case Slot::recipient:
      r.address = pick.text.empty() ? Address{.form = Address::Form::malformed, .full = {}, .at = 0, .bare = {}}
                                    : mailbox_of(pick.text, site.subaddress);
      r.raw = pick.text.empty() ? "<\"\"@elsewhere.invalid>" : '<' + pick.text + '>';
      if (site.knows_domains()) r.external = is_external(r, site);
      return;
    case Slot::recipients: t.recipients = pick.number; return;
    case Slot::route:
      r.route = pick.known ? std::optional(pick.text) : std::nullopt;
      if (!site.knows_domains()) r.external = is_external(r, site);
      return;
    case Slot::mta_refused: r.mta_refused = pick.number != 0; return;
    case Slot::mailbox: r.mailbox_used = mailbox_use(pick); return;
    case Slot::dead: r.dead = pick.number != 0; return;
    case Slot::header: return set_header(t, header, pick.text);
    case Slot::header_count: t.header_count = pick.number; return;
    case Slot::size: t.size = pick.number; return;
    case Slot::queue_id: t.queue_id = pick.text; return;
    case Slot::digest: t.digest = pick.text; return;
    case Slot::clock: return set_clock(*this, pick.number, site.zone);
    case Slot::age: connection.since = now - std::chrono::seconds(std::min(pick.number, kLongest)); return;
    case Slot::none: return;
  }
}

Truth truth_of(const Condition& condition, Slot slot, const Pick& pick, const Site& site) {
  constexpr std::int64_t kMinutes = 24 * 60;
  switch (condition.fact.fact) {
    case Fact::time: return matches(condition.matcher, Value(pick.number % kMinutes));
    case Fact::weekday: return matches(condition.matcher, Value(pick.number / kMinutes + 1));
    case Fact::session_age: return matches(condition.matcher, Value(pick.number));
    default: break;
  }
  Model model;
  model.set(slot, condition.fact.header, pick, site);
  return holds(condition, model.facts());
}

}  // namespace replygate

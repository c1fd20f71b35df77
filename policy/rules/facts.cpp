#include "policy/rules/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/mail/quantity.h"
#include "policy/mail/subaddress.h"
#include "policy/mail/text.h"
#include "policy/rules/key_map.h"

namespace replygate {
namespace {

using enum Stage;
using Kind = FactKind;

// clang-format off: a table, one row an entry
constexpr std::array kFacts = {
    FactInfo{Fact::client_ip, "client_ip", connect, Kind::ip, 45, "address of the client"},
    FactInfo{Fact::client_net, "client_net", connect, Kind::text, 49, "its network, as [keys] cuts it"},
    FactInfo{Fact::client_name, "client_name", connect, Kind::text, 128, "its verified name, else \"unknown\""},
    FactInfo{Fact::client_port, "client_port", connect, Kind::count, 5, "its port; 0 for local submission"},
    FactInfo{Fact::listener, "listener", connect, Kind::text, 64, "the MTA's name of the listener ({daemon_name})"},
    FactInfo{Fact::helo, "helo", Stage::helo, Kind::text, 128, "the name given in HELO or EHLO"},
    FactInfo{Fact::tls, "tls", Stage::mail, Kind::boolean, 5, "the session is encrypted"},
    FactInfo{Fact::tls_version, "tls_version", Stage::mail, Kind::version, 16, "for instance \"TLSv1.3\""},
    FactInfo{Fact::tls_cipher, "tls_cipher", Stage::mail, Kind::text, 64, "name of the cipher"},
    FactInfo{Fact::tls_bits, "tls_bits", Stage::mail, Kind::count, 5, "its effective key length"},
    FactInfo{Fact::tls_subject, "tls_subject", Stage::mail, Kind::text, 128, "subject of the client's certificate"},
    FactInfo{Fact::tls_issuer, "tls_issuer", Stage::mail, Kind::text, 128, "issuer of the client's certificate"},
    FactInfo{Fact::sender, "sender", Stage::mail, Kind::address, 200, "canonical envelope sender; \"\" for <>"},
    FactInfo{Fact::sender_local, "sender_local", Stage::mail, Kind::local_part, 64, "its local part"},
    FactInfo{Fact::sender_domain, "sender_domain", Stage::mail, Kind::domain, 128, "its domain"},
    FactInfo{Fact::null_sender, "null_sender", Stage::mail, Kind::boolean, 5, "the sender is <>"},
    FactInfo{Fact::authenticated, "authenticated", Stage::mail, Kind::boolean, 5, "the client has logged in"},
    FactInfo{Fact::user, "user", Stage::mail, Kind::login, 128, "its login name"},
    FactInfo{Fact::user_local, "user_local", Stage::mail, Kind::local_part, 64, "the login before its @"},
    FactInfo{Fact::user_domain, "user_domain", Stage::mail, Kind::domain, 128, "the login behind its @"},
    FactInfo{Fact::auth_mechanism, "auth_mechanism", Stage::mail, Kind::text, 20, "for instance \"PLAIN\""},
    FactInfo{Fact::declared_size, "declared_size", Stage::mail, Kind::size, 20, "SIZE= of MAIL, 0 if absent"},
    FactInfo{Fact::smtputf8, "smtputf8", Stage::mail, Kind::boolean, 5, "MAIL asks for SMTPUTF8"},
    FactInfo{Fact::messages, "messages", Stage::mail, Kind::count, 20, "messages of this session, this one included"},
    FactInfo{Fact::sender_login_mismatch, "sender_login_mismatch", Stage::mail, Kind::boolean, 5,
             "logged in, and the sender is not the login's own address"},
    FactInfo{Fact::refusals, "refusals", connect, Kind::count, 20, "refusals in this session so far"},
    FactInfo{Fact::recipient, "recipient", rcpt, Kind::address, 200, "canonical envelope recipient"},
    FactInfo{Fact::recipient_local, "recipient_local", rcpt, Kind::local_part, 64, "its local part"},
    FactInfo{Fact::recipient_domain, "recipient_domain", rcpt, Kind::domain, 128, "its domain"},
    FactInfo{Fact::recipients, "recipients", rcpt, Kind::count, 20,
             "recipients of this message kept so far, this one included"},
    FactInfo{Fact::recipient_route, "recipient_route", rcpt, Kind::text, 64, "the MTA's mailer for the recipient"},
    FactInfo{Fact::external, "external", rcpt, Kind::boolean, 5, "the recipient is neither local nor relayed"},
    FactInfo{Fact::mta_refused, "mta_refused", rcpt, Kind::boolean, 5, "the MTA has refused the recipient itself"},
    FactInfo{Fact::mailbox_used, "mailbox_used", rcpt, Kind::percent, 6,
             "how full the recipient's mailbox is, see [mailbox]"},
    FactInfo{Fact::recipient_dead, "recipient_dead", rcpt, Kind::boolean, 5,
             "its own server has said that the address is dead, see [outcomes]"},
    FactInfo{Fact::header, "header", Stage::header, Kind::text, 128, "a header field, written header.Subject"},
    FactInfo{Fact::header_count, "header_count", Stage::header, Kind::count, 20, "header fields of the message"},
    FactInfo{Fact::size, "size", message, Kind::size, 20, "octets of the message as received"},
    FactInfo{Fact::queue_id, "queue_id", message, Kind::text, 32, "the MTA's queue id"},
    FactInfo{Fact::digest, "digest", message, Kind::text, 32, "one value for all copies of a message"},
    FactInfo{Fact::time, "time", connect, Kind::clock, 5, "time of day at the site, see [keys] timezone"},
    FactInfo{Fact::weekday, "weekday", connect, Kind::weekday, 9, "day of the week at the site"},
    FactInfo{Fact::session_age, "session_age", connect, Kind::duration, 20, "whole seconds since the client connected"},
};
// clang-format on

constexpr bool in_order() {
  for (std::size_t i = 0; i < kFacts.size(); ++i) {
    if (static_cast<std::size_t>(kFacts[i].fact) != i) return false;
  }
  return true;
}

static_assert(in_order() && kFacts.size() == kFactCount);

constexpr bool changes(const FactInfo& row) {
  return row.stage > Stage::mail || grows_in_session(row.fact) || row.kind == Kind::clock || row.kind == Kind::weekday;
}

static_assert(std::ranges::none_of(kFacts,
                                   [](const FactInfo& row) { return stays_in_message(row.fact) && changes(row); }));

Value maybe(const std::optional<bool>& value) { return value ? Value(*value) : Value(); }
// A mailbox that is not there is absent, and no percentage is true of it.
Value maybe(const MailboxUse& use) {
  if (use.state == MailboxUse::State::none) return std::string_view();
  return use.state == MailboxUse::State::used ? Value(use.percent) : Value();
}
Value maybe(const std::optional<std::string>& value) { return value ? Value(std::string_view(*value)) : Value(); }

Value connection_value(Fact fact, const Connection& c) {
  switch (fact) {
    case Fact::client_ip: return c.ip ? Value(*c.ip) : Value(std::string_view());
    case Fact::client_net: return std::string_view(c.net);
    case Fact::client_name: return std::string_view(c.name);
    case Fact::client_port: return c.port;
    case Fact::listener: return std::string_view(c.listener);
    case Fact::helo: return std::string_view(c.helo);
    case Fact::tls: return !c.tls.version.empty();
    case Fact::tls_version: return std::string_view(c.tls.version);
    case Fact::tls_cipher: return std::string_view(c.tls.cipher);
    case Fact::tls_bits: return c.tls.bits;
    case Fact::tls_subject: return std::string_view(c.tls.subject);
    case Fact::tls_issuer: return std::string_view(c.tls.issuer);
    case Fact::messages: return c.messages;
    case Fact::refusals: return c.refusals;
    default: return {};
  }
}

Value transaction_value(Fact fact, const Transaction& t) {
  switch (fact) {
    case Fact::sender: return std::string_view(t.sender.full);
    case Fact::sender_local: return t.sender.local();
    case Fact::sender_domain: return t.sender.domain();
    case Fact::null_sender: return t.sender.form == Address::Form::null;
    case Fact::authenticated: return !t.user.empty();
    case Fact::user: return std::string_view(t.user);
    case Fact::user_local: return t.user_local();
    case Fact::user_domain: return t.user_domain();
    case Fact::auth_mechanism: return std::string_view(t.mechanism);
    case Fact::declared_size: return t.declared_size;
    case Fact::smtputf8: return t.smtputf8;
    case Fact::sender_login_mismatch: return t.sender_login_mismatch;
    case Fact::recipients: return t.recipients;
    case Fact::header_count: return t.header_count;
    case Fact::size: return t.size;
    case Fact::digest: return std::string_view(t.digest);
    case Fact::queue_id: return std::string_view(t.queue_id);
    default: return {};
  }
}

Value recipient_value(Fact fact, const Recipient& r) {
  switch (fact) {
    case Fact::recipient: return std::string_view(r.address.full);
    case Fact::recipient_local: return r.address.local();
    case Fact::recipient_domain: return r.address.domain();
    case Fact::recipient_route: return maybe(r.route);
    case Fact::external: return maybe(r.external);
    case Fact::mta_refused: return r.mta_refused;
    case Fact::mailbox_used: return maybe(r.mailbox_used);
    case Fact::recipient_dead: return r.dead;
    default: return {};
  }
}

Value header_value(const std::string& name, const Transaction& t) {
  const auto it = std::ranges::find(t.headers, name, &Header::name);
  return it == t.headers.end() ? std::string_view() : std::string_view(it->value);
}

Value time_value(Fact fact, const Facts& facts) {
  if (fact == Fact::session_age) {
    return std::chrono::duration_cast<std::chrono::seconds>(facts.now - facts.connection.since).count();
  }
  const LocalTime local = facts.local_zone().local(facts.now);
  return std::int64_t{fact == Fact::weekday ? local.weekday : local.minute};
}

bool of_time(Fact fact) { return fact >= Fact::time; }

bool of_connection(const FactInfo& row) {
  return row.stage < Stage::mail || row.fact == Fact::messages ||
         (row.fact >= Fact::tls && row.fact <= Fact::tls_issuer);
}

}  // namespace

void Transaction::set_user(std::string canonical, std::string_view subaddress) {
  user = std::move(canonical);
  user_bare.clear();
  if (subaddress.empty()) return;
  std::string bare = without_tag(user, subaddress);
  if (bare != user) user_bare = std::move(bare);
}

std::string_view Transaction::user_local() const { return std::string_view(user).substr(0, user.rfind('@')); }

std::string_view Transaction::user_domain() const {
  const std::size_t at = user.rfind('@');
  return at == std::string::npos ? std::string_view() : std::string_view(user).substr(at + 1);
}

std::span<const FactInfo> fact_table() { return kFacts; }

const FactInfo& info(Fact fact) { return kFacts[static_cast<std::size_t>(fact)]; }

const FactInfo* find_fact(std::string_view name) {
  const auto it = std::ranges::find(kFacts, name, &FactInfo::name);
  return it == kFacts.end() ? nullptr : &*it;
}

bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= 76 &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c < '\x7f' && c != ':'; });
}

std::string FactRef::text() const {
  if (!maps.empty()) {
    FactRef inner = *this;
    inner.maps.pop_back();
    return fmt::format("{}({})", maps.back()->name, inner.text());
  }
  if (fact != Fact::header) return std::string(info(fact).name);
  const bool bare =
      std::ranges::all_of(header, [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_'; });
  return bare ? fmt::format("header.{}", header) : fmt::format("header.\"{}\"", header);
}

std::optional<FactRef> find_fact_ref(std::string_view name) {
  constexpr std::string_view kHeader = "header.";
  if (name.starts_with(kHeader)) {
    name.remove_prefix(kHeader.size());
    if (name.size() > 1 && name.starts_with('"') && name.ends_with('"')) name = name.substr(1, name.size() - 2);
    if (!is_field_name(name)) return std::nullopt;
    return FactRef{Fact::header, to_lower(name)};
  }
  const FactInfo* row = find_fact(name);
  if (row == nullptr || row->fact == Fact::header) return std::nullopt;
  return FactRef{row->fact, ""};
}

Value value_of(const FactRef& ref, const Facts& facts) {
  const FactInfo& row = info(ref.fact);
  if (of_time(ref.fact)) return time_value(ref.fact, facts);
  if (of_connection(row)) return connection_value(ref.fact, facts.connection);
  if (row.stage == Stage::rcpt && ref.fact != Fact::recipients) {
    return facts.recipient == nullptr ? Value() : recipient_value(ref.fact, *facts.recipient);
  }
  if (facts.transaction == nullptr) return {};
  return ref.fact == Fact::header ? header_value(ref.header, *facts.transaction)
                                  : transaction_value(ref.fact, *facts.transaction);
}

std::string_view untagged_value(Fact fact, const Facts& facts) {
  const auto local = [](std::string_view bare) { return bare.substr(0, bare.rfind('@')); };
  const Transaction* t = facts.transaction;
  const Recipient* r = facts.recipient;
  switch (fact) {
    case Fact::sender: return t == nullptr ? std::string_view() : t->sender.bare;
    case Fact::sender_local: return t == nullptr ? std::string_view() : t->sender.bare_local();
    case Fact::user: return t == nullptr ? std::string_view() : t->user_bare;
    case Fact::user_local: return t == nullptr ? std::string_view() : local(t->user_bare);
    case Fact::recipient: return r == nullptr ? std::string_view() : r->address.bare;
    case Fact::recipient_local: return r == nullptr ? std::string_view() : r->address.bare_local();
    default: return {};
  }
}

std::string format_value(FactKind kind, const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string_view>(&value)) return std::string(*text);
  if (const auto* ip = std::get_if<IpAddress>(&value)) return ip->text();
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr) return "";
  switch (kind) {
    case FactKind::size: return format_size(*number);
    case FactKind::percent: return fmt::format("{}%", *number);
    case FactKind::duration: return format_duration(std::chrono::seconds(*number));
    case FactKind::clock: return fmt::format("{:02}:{:02}", *number / 60, *number % 60);
    case FactKind::weekday: return std::string(weekday_name(static_cast<unsigned>(*number)));
    default: return std::to_string(*number);
  }
}

std::string value_text(const FactRef& ref, const Facts& facts) {
  return format_value(info(ref.fact).kind, value_of(ref, facts));
}

}  // namespace replygate

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/base/calendar.h"
#include "policy/base/stage.h"
#include "policy/base/time.h"
#include "policy/mail/address.h"
#include "policy/mail/ip.h"
#include "policy/mail/mailbox_use.h"

// What is known of a session. Plain values with three lifetimes; a door fills them, rules only read them.
// Text is as the MTA gave it unless a comment says that it is canonical.
namespace replygate {

class Answers;
class KeptTruths;
struct KeyMap;

struct Tls {
  std::string version;  // "" without TLS
  std::string cipher;
  std::int64_t bits = 0;
  std::string subject;
  std::string issuer;
  bool operator==(const Tls&) const = default;
};

// From connect to close.
struct Connection {
  std::optional<IpAddress> ip;   // nothing: no address (local, or unknown family); never trusted
  std::string ip_text;           // "" where ip is nothing
  std::string net;               // the network that client_net counts by, CIDR
  std::string name = "unknown";  // verified name
  std::int64_t port = 0;
  std::string listener;
  std::optional<IpAddress> server;  // where it came to; nothing, and 0: the MTA does not tell. No rule asks
  std::int64_t server_port = 0;
  std::string helo;
  Tls tls;
  bool local_submission = false;  // non-SMTP submission: is counted, never refused
  std::int64_t messages = 0;      // MAIL commands so far, the present one included
  std::int64_t refusals = 0;      // replies of ours that refused something
  Instant since;                  // the connect event
};

// A header field, unfolded, without the blank behind the colon.
struct Header {
  std::string name;  // in lower case
  std::string value;
};

// From MAIL to the end of the message, an abort or the next MAIL. Replaced as a whole.
struct Transaction {
  std::string sender_raw;
  Address sender;
  std::string user;                // canonical; "" without login
  std::string user_bare;           // without its tag; "" where it has none, or tags mean nothing here
  std::string mechanism;           // SASL
  std::int64_t declared_size = 0;  // SIZE= of MAIL, octets; 0 where absent
  bool smtputf8 = false;
  bool sender_login_mismatch = false;
  std::int64_t recipients = 0;  // kept so far, plus the one being judged
  std::string queue_id;
  std::int64_t size = 0;          // octets received, at the final dot
  std::vector<Header> headers;    // those that the policy names
  std::int64_t header_count = 0;  // of all
  std::string digest;             // at the final dot

  void set_user(std::string canonical, std::string_view subaddress);
  std::string_view user_local() const;
  std::string_view user_domain() const;
};

// One RCPT command.
struct Recipient {
  std::string raw;
  Address address;
  std::optional<std::string> route;  // "local", "relay", "smtp" …; nothing: the MTA does not say
  std::optional<bool> external;      // nothing: cannot be told
  bool mta_refused = false;          // the MTA has refused it already; its reply stands
  std::string mta_status;            // enhanced code of that refusal
  std::string mta_text;
  MailboxUse mailbox_used;
  bool dead = false;  // remote servers have said that there is no such mailbox
};

struct Facts {
  const Connection& connection;
  const Transaction* transaction = nullptr;  // from MAIL on
  const Recipient* recipient = nullptr;      // at RCPT
  Instant now{};
  const Zone* zone = nullptr;  // null is UTC
  Answers* answers = nullptr;  // of live sources; null: there are none, or they cannot be asked
  KeptTruths* kept = nullptr;  // of the message; null: each condition is judged anew

  Zone local_zone() const { return zone == nullptr ? Zone() : *zone; }
};

// clang-format off: a table, one row an entry
enum class Fact : std::uint8_t {
  client_ip,
  client_net,
  client_name,
  client_port,
  listener,
  helo,
  tls,
  tls_version,
  tls_cipher,
  tls_bits,
  tls_subject,
  tls_issuer,
  sender,
  sender_local,
  sender_domain,
  null_sender,
  authenticated,
  user,
  user_local,
  user_domain,
  auth_mechanism,
  declared_size,
  smtputf8,
  messages,
  sender_login_mismatch,
  refusals,
  recipient,
  recipient_local,
  recipient_domain,
  recipients,
  recipient_route,
  external,
  mta_refused,
  mailbox_used,
  recipient_dead,
  header,
  header_count,
  size,
  queue_id,
  digest,
  time,
  weekday,
  session_age,
};
// clang-format on

inline constexpr std::size_t kFactCount = static_cast<std::size_t>(Fact::session_age) + 1;

using FactSet = std::uint64_t;
constexpr FactSet bit(Fact fact) { return FactSet{1} << static_cast<unsigned>(fact); }

// How the values of a fact are written and compared.
enum class FactKind : std::uint8_t {
  boolean,
  count,
  size,
  percent,
  duration,  // seconds
  clock,     // minutes of the day
  weekday,   // 1 Monday … 7 Sunday
  version,   // of TLS
  text,
  local_part,
  domain,
  address,
  login,
  ip,
};

// Whether a part of the value may be a tag (RFC 5233).
constexpr bool may_have_tag(FactKind kind) {
  return kind == FactKind::address || kind == FactKind::local_part || kind == FactKind::login;
}

// What MAIL leaves as it is until the message ends.
constexpr bool stays_in_message(Fact fact) { return fact <= Fact::sender_login_mismatch; }

// What is 0 when a client connects, and more as the session goes on.
constexpr bool grows_in_session(Fact fact) { return fact == Fact::refusals || fact == Fact::session_age; }

struct FactInfo {
  Fact fact;
  std::string_view name;
  Stage stage;  // from which on it is known
  FactKind kind;
  std::size_t longest;  // octets that it takes in a reply text at the most; longer values are cut there
  std::string_view meaning;
};

std::span<const FactInfo> fact_table();  // in the order of the enumeration
const FactInfo& info(Fact fact);
const FactInfo* find_fact(std::string_view name);

// A fact as a rule names it: a row of the table, and for `header` the name of the field in lower case. In a key its
// value may go through maps, one after the other.
struct FactRef {
  Fact fact = Fact::client_ip;
  std::string header;
  std::vector<std::shared_ptr<const KeyMap>> maps = {};
  bool operator==(const FactRef&) const = default;
  std::string text() const;  // as a policy writes it
};
// "sender", "header.Subject"; nothing for an unknown name.
std::optional<FactRef> find_fact_ref(std::string_view name);
// RFC 5322 §3.6.8.
bool is_field_name(std::string_view name);

// Monostate: unknown, neither yes nor no. An absent fact is false, 0 or "".
using Value = std::variant<std::monostate, bool, std::int64_t, std::string_view, IpAddress>;

// The value of a fact, of repeated header fields the first; the views live as long as `facts`. A fact of a later stage
// is unknown.
Value value_of(const FactRef& ref, const Facts& facts);

// The value of an address, a login or a local part without its tag; "" where it has none. A pattern that matches it
// matches the fact.
std::string_view untagged_value(Fact fact, const Facts& facts);

// As it appears in replies and keys; "" for unknown and absent.
std::string value_text(const FactRef& ref, const Facts& facts);
// A value of a kind as a policy would write it.
std::string format_value(FactKind kind, const Value& value);

// Facts that a request of Postfix's policy delegation protocol (the second door) does not carry.
inline constexpr FactSet kBeyondDelegation = bit(Fact::listener) | bit(Fact::messages) | bit(Fact::recipients) |
                                             bit(Fact::refusals) | bit(Fact::recipient_route) | bit(Fact::mta_refused) |
                                             bit(Fact::smtputf8) | bit(Fact::mailbox_used) | bit(Fact::session_age);

}  // namespace replygate

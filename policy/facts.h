#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "policy/mail/address.h"
#include "policy/mail/ip.h"
#include "policy/stage.h"
#include "policy/time.h"

// What is known of a session. Plain values with three lifetimes; a door fills them, rules only read them.
// Text is as the MTA gave it unless a comment says that it is canonical.
namespace replygate {

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
  std::string helo;
  Tls tls;
  bool local_submission = false;  // non-SMTP submission: is counted, never refused
  std::int64_t messages = 0;      // MAIL commands so far, the present one included
  std::int64_t refusals = 0;      // replies of ours that refused something
};

// From MAIL to the end of the message, an abort or the next MAIL. Replaced as a whole.
struct Transaction {
  std::string sender_raw;
  Address sender;
  std::string user;                // lower case; "" without login
  std::string mechanism;           // SASL
  std::int64_t declared_size = 0;  // SIZE= of MAIL, octets; 0 where absent
  bool smtputf8 = false;
  bool sender_login_mismatch = false;
  std::int64_t recipients = 0;  // kept so far, plus the one being judged
  std::string queue_id;
  std::int64_t size = 0;  // octets received, at the final dot

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
};

struct Facts {
  const Connection& connection;
  const Transaction* transaction = nullptr;  // from MAIL on
  const Recipient* recipient = nullptr;      // at RCPT
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
  size,
  queue_id,
};
// clang-format on

using FactSet = std::uint64_t;
constexpr FactSet bit(Fact fact) { return FactSet{1} << static_cast<unsigned>(fact); }

// How the values of a fact are written and compared.
enum class FactKind : std::uint8_t { boolean, count, size, text, local_part, domain, address, login, ip };

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

// Monostate: unknown, neither yes nor no. An absent fact is false, 0 or "".
using Value = std::variant<std::monostate, bool, std::int64_t, std::string_view, IpAddress>;

// The value of a fact; the views live as long as `facts`. A fact of a later stage is unknown.
Value value_of(Fact fact, const Facts& facts);

// As it appears in replies and keys; "" for unknown and absent.
std::string value_text(Fact fact, const Facts& facts);

}  // namespace replygate

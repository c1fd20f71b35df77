#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/rules/facts.h"

namespace replygate {

// Facts whose values depend on each other and are chosen together.
enum class Slot : std::uint8_t {
  client,  // address and network
  client_name,
  client_port,
  listener,
  helo,
  tls_version,  // and whether there is TLS
  tls_cipher,
  tls_bits,
  tls_subject,
  tls_issuer,
  sender,  // and its parts
  user,    // the login, its parts, and whether there is one
  mechanism,
  mismatch,
  declared_size,
  smtputf8,
  messages,
  refusals,
  recipient,  // its parts, and where the site knows its domains whether it is external
  recipients,
  route,  // and where the site knows no domains whether the recipient is external
  mta_refused,
  mailbox,
  dead,
  header,  // one for each name
  header_count,
  size,
  queue_id,
  digest,
  clock,  // minute and weekday
  age,
  none,
};

constexpr Slot slot_of(Fact fact) {
  switch (fact) {
    case Fact::client_ip:
    case Fact::client_net: return Slot::client;
    case Fact::client_name: return Slot::client_name;
    case Fact::client_port: return Slot::client_port;
    case Fact::listener: return Slot::listener;
    case Fact::helo: return Slot::helo;
    case Fact::tls:
    case Fact::tls_version: return Slot::tls_version;
    case Fact::tls_cipher: return Slot::tls_cipher;
    case Fact::tls_bits: return Slot::tls_bits;
    case Fact::tls_subject: return Slot::tls_subject;
    case Fact::tls_issuer: return Slot::tls_issuer;
    case Fact::sender:
    case Fact::sender_local:
    case Fact::sender_domain:
    case Fact::null_sender: return Slot::sender;
    case Fact::authenticated:
    case Fact::user:
    case Fact::user_local:
    case Fact::user_domain: return Slot::user;
    case Fact::auth_mechanism: return Slot::mechanism;
    case Fact::sender_login_mismatch: return Slot::mismatch;
    case Fact::declared_size: return Slot::declared_size;
    case Fact::smtputf8: return Slot::smtputf8;
    case Fact::messages: return Slot::messages;
    case Fact::refusals: return Slot::refusals;
    case Fact::recipient:
    case Fact::recipient_local:
    case Fact::recipient_domain:
    case Fact::external: return Slot::recipient;
    case Fact::recipients: return Slot::recipients;
    case Fact::recipient_route: return Slot::route;
    case Fact::mta_refused: return Slot::mta_refused;
    case Fact::mailbox_used: return Slot::mailbox;
    case Fact::recipient_dead: return Slot::dead;
    case Fact::header: return Slot::header;
    case Fact::header_count: return Slot::header_count;
    case Fact::size: return Slot::size;
    case Fact::queue_id: return Slot::queue_id;
    case Fact::digest: return Slot::digest;
    case Fact::time:
    case Fact::weekday: return Slot::clock;
    case Fact::session_age: return Slot::age;
  }
  return Slot::none;
}

// A fact without a slot would be one that the solver takes for whatever the model happens to hold.
constexpr bool every_fact_has_a_slot() {
  for (std::size_t i = 0; i < kFactCount; ++i) {
    if (slot_of(static_cast<Fact>(i)) == Slot::none) return false;
  }
  return true;
}
static_assert(every_fact_has_a_slot());

// What one message sees change from stage to stage.
constexpr bool moves(Slot slot) {
  return slot == Slot::refusals || slot == Slot::recipients || slot == Slot::clock || slot == Slot::age;
}

}  // namespace replygate

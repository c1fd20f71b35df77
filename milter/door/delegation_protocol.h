#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/session.h"

// Postfix's policy delegation protocol (SMTPD_POLICY_README): text to facts and verdict to text. Pure.
namespace replygate {

struct DelegationRequest {
  ConnectEvent connect;
  std::string helo;
  MailEvent mail;
  RcptEvent rcpt;
  std::string state;  // protocol_state: "RCPT", "DATA" …
};

// `text`: the attributes, one name=value a line, without the empty line at the end. Nothing where it is no request of
// this protocol. Unknown attributes are passed over, of a repeated one the last counts.
std::optional<DelegationRequest> parse_delegation_request(std::string_view text);

// "action=DUNNO\n\n", or the refusal in one line. Never an action that permits.
std::string delegation_reply(const Answer& answer);

// Facts that a request does not carry.
constexpr FactSet kBeyondDelegation = bit(Fact::listener) | bit(Fact::messages) | bit(Fact::recipients) |
                                      bit(Fact::refusals) | bit(Fact::recipient_route) | bit(Fact::mta_refused) |
                                      bit(Fact::smtputf8) | bit(Fact::mailbox_used) | bit(Fact::session_age);

}  // namespace replygate

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/decide/session.h"

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

}  // namespace replygate

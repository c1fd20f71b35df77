#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/decide/session.h"
#include "policy/mail/address.h"

// What a session makes of the addresses and parameters that a door tells it. Pure.
namespace replygate {

// SIZE= of MAIL, octets; 0 where it is absent or no number, the greatest number where it is beyond all numbers.
std::int64_t declared_size(const std::vector<std::string>& parameters);
bool has_parameter(const std::vector<std::string>& parameters, std::string_view keyword);

Address canonical_sender(const MailEvent& event, const Site& site);
Address canonical_recipient(const RcptEvent& event, const Site& site);

// Whether a login sends as somebody else.
bool is_mismatch(const Transaction& transaction, const Site& site);

}  // namespace replygate

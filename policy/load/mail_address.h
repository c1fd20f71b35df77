#pragma once

#include <string>
#include <string_view>

#include "policy/load/context.h"
#include "policy/mail/address.h"

namespace replygate {

// An address as mail is sent to it, without defaults.
Address mail_address(std::string_view text);
bool is_mail_address(const Address& address);

// The address that `node` is, in canonical form. `key` names it in the diagnostic where it is none; `target` stays
// then.
void read_mail_address(Context& context, const Node& node, std::string_view key, std::string& target);

}  // namespace replygate

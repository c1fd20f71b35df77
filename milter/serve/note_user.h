#pragma once

#include <string>
#include <vector>

#include "milter/serve/note_carrier.h"
#include "policy/decide/record.h"

namespace replygate {

// Whom a note about this login goes to: each of `patterns` that becomes an address once {user} is the login. What a
// client calls itself is data: no login adds a recipient or a command.
std::vector<std::string> user_addresses(const std::vector<std::string>& patterns, const std::string& login);

// What a user is told of his limit: the words of the policy, else ours. `recipient` is null where the message as a
// whole was judged. Its `to` and `event` are filled in by the caller.
Note user_note_of_warning(const UserText& own, const Record& record, const LimitUse& use, const Recipient* recipient);
Note user_note_of_refusal(const UserText& own, const Record& record, const LimitUse& full, const Recipient* recipient);

}  // namespace replygate

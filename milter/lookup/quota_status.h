#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "milter/log/troubles.h"
#include "policy/decide/session.h"
#include "policy/rules/policy.h"

namespace replygate {

// Dovecot's quota-status service (Postfix's policy protocol): it says whether a message fits. On a thread and
// connections of its own, opened as they are needed; the deadline is that of the source. Without mail it is connected
// to now and then, so that `troubles` knows whether it is there; what it has not answered it is asked again.
std::unique_ptr<Mailboxes> open_quota_status(const MailboxSource& source, Troubles& troubles);

// What the service's answer means: 100 % for a refusal for want of room, 0 % for anything that lets the message pass,
// no such mailbox for any other refusal for good; nothing can be told of refusals for now.
// Nothing at all where it is none.
std::optional<MailboxUse> parse_quota_answer(std::string_view answer);

}  // namespace replygate

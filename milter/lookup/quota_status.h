#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "policy/policy.h"
#include "policy/session.h"

namespace replygate {

// Dovecot's quota-status service (Postfix's policy protocol): it says whether a message fits. On a thread and
// connections of its own, opened as they are needed; the deadline is that of the source.
std::unique_ptr<Mailboxes> open_quota_status(const MailboxSource& source);

// What the service's answer means: 100 for a refusal for want of room, 0 for anything that lets the message pass;
// nothing for other refusals, of unknown users for instance.
std::optional<std::int64_t> parse_quota_answer(std::string_view answer);

}  // namespace replygate

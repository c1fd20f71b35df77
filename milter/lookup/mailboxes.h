#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/log/troubles.h"
#include "policy/decide/session.h"
#include "policy/rules/policy.h"

namespace replygate {

// The source that [mailbox] names; null where it names none. The error is for people. A name of which the source knows
// nothing has no mailbox; what it does not say in time, or fails to say, cannot be told. That it cannot be asked or
// read is trouble of "mailbox" until it can, whether or not there is mail; `troubles` outlives it.
tl::expected<std::unique_ptr<Mailboxes>, std::string> open_mailboxes(const MailboxSource& source, Troubles& troubles);

// The same source, answering before the call returns.
std::unique_ptr<Mailboxes> waiting(std::unique_ptr<Mailboxes> source);

// A line or row "user used limit", quantities in octets or with unit: the user in canonical form, and percent; a limit
// of 0 is none. Nothing where it is not understood.
std::optional<std::pair<std::string, std::int64_t>> parse_mailbox_line(std::string_view line);

// Percent of `used` in `limit`; 0 without a limit.
std::int64_t percent_of(std::int64_t used, std::int64_t limit);

}  // namespace replygate

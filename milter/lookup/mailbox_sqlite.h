#pragma once

#include <memory>
#include <string>

#include "policy/data_source.h"
#include "policy/session.h"

namespace replygate {

// Asks SQLite for each recipient: the query has one parameter, the address, and gives `used` and `limit`; no row:
// cannot be told. On a thread of its own; a look-up that has waited longer than `timeout` is not made. Null, with the
// reason in `why`, where database or query cannot be used.
std::unique_ptr<Mailboxes> open_mailbox_sqlite(const DataSource& source, Duration timeout, std::string& why);

}  // namespace replygate

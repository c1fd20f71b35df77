#pragma once

#include <memory>
#include <string>

#include "milter/log/troubles.h"
#include "policy/decide/session.h"
#include "policy/rules/data_source.h"

namespace replygate {

// Asks SQLite for each recipient: the query has one parameter, the address, and gives `used` and `limit`; no row: no
// such mailbox. On a thread of its own; a look-up that has waited longer than `timeout` is not made. Null, with the
// reason in `why`, where database or query cannot be used. It is asked now and then though there is no mail, so that
// `troubles` knows.
std::unique_ptr<Mailboxes> open_mailbox_sqlite(const DataSource& source, Duration timeout, Troubles& troubles,
                                               std::string& why);

}  // namespace replygate

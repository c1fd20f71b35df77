#pragma once

#include <string>
#include <string_view>

#include "milter/host/postfix_config.h"
#include "milter/host/postfix_restrictions.h"

namespace replygate {

// What an access table does for a stranger. `kind`: "check_sender_access" and the like.
ToStranger access_for_stranger(std::string_view kind, std::string_view table, const PostfixValues& values,
                               const PostfixTables& tables);

// Of one value, "OK", "554 no", "DUNNO"; unclear for what is none of access(5): a list of restrictions.
ToStranger access_value(std::string_view value);

}  // namespace replygate

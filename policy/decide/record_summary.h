#pragma once

#include <string>
#include <string_view>

#include "policy/decide/record.h"

namespace replygate {

// One short line about what was said of one recipient, or of the message where `judged` is null, for logs that people
// search: printable ASCII of at most 900 octets, without LF. "" where there is nothing to say: no recipients and no
// refusal.
std::string summary(const Record& record, const JudgedRecipient* judged);

// The refusal that the client got for it; null where it got none of ours.
const Finding* refusal_of(const Record& record, const JudgedRecipient* judged);

}  // namespace replygate

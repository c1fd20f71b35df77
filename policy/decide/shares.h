#pragma once

#include <optional>
#include <vector>

#include "policy/decide/inquiry.h"

namespace replygate {

// Its limit is a share of the recipients that the ask behind it counts.
inline bool is_share(const Ask& ask) { return ask.purpose == Ask::Purpose::limit && ask.limit.share > 0; }

// Lets the readings of shares say whether they fit, now that both numbers are known; a share of which one is missing
// has no reading. What the store has compared of a share is less than what it allows: when it tells that there is room
// again, there is. Pure.
void judge_shares(const Inquiry& inquiry, std::vector<std::optional<Reading>>& readings);

}  // namespace replygate

#pragma once

#include <boost/json/array.hpp>
#include <cstddef>
#include <string_view>

#include "milter/log/history.h"

namespace replygate {

// What a history has on a word, newest first, `most` decisions at most. Each recipient has its `outcomes`, the oldest
// first, and the record has `more` recipients, which the MTA has added; of the newest decisions, as far as they are
// known. Where a decision itself is no longer there its outcomes stand for themselves.
boost::json::array past_decisions(const History& history, std::string_view word, std::size_t most);

}  // namespace replygate

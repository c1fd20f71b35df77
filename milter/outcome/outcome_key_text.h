#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/decide/outcome_key.h"

namespace replygate {

// Keys as octets for a file, and back; what makes no sense is none.
std::string text_of(const std::vector<OutcomeKey>& keys);
std::vector<OutcomeKey> outcome_keys_in(std::string_view octets);

}  // namespace replygate

#pragma once

#include <optional>
#include <string_view>

#include "policy/catalogue/codes.h"
#include "policy/catalogue/enhanced.h"

namespace replygate {

// Prints what the catalogue has of a code, an enhanced code, a classification or RGnnnn, and returns the exit status.
// Nothing, and nothing printed, where `what` is none of them.
std::optional<int> explain_known(std::string_view what, std::optional<Command> at, bool as_json);

void print_code(const ReplyCode& code, std::optional<Command> at);
void print_enhanced(EnhancedCode code);

}  // namespace replygate

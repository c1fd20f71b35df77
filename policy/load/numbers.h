#pragma once

#include <optional>
#include <string_view>

#include "policy/count/limit.h"
#include "policy/facts.h"
#include "policy/load/context.h"
#include "policy/match.h"

namespace replygate {

// 10, "> 100", ">= 25 MB", "10..20", "!= 5"; sizes need a unit. Nothing, with a diagnostic, for anything else.
std::optional<NumberRange> parse_range(Context& context, FactKind kind, std::string_view fact, const Node& node);

// "500 recipients / 1h", "25 MiB / 1d", "100 recipients / message".
std::optional<Limit> parse_limit(Context& context, const Node& node);

}  // namespace replygate

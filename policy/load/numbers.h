#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/count/limit.h"
#include "policy/load/context.h"
#include "policy/rules/facts.h"
#include "policy/rules/match.h"

namespace replygate {

// 10, "> 100", ">= 25 MB", "10..20", "!= 5", ">= 90%", "> 5m", "22:00-06:00", "sat", "mon-fri"; what has a unit needs
// it. Any of the ranges; none, with a diagnostic, for anything else.
std::vector<NumberRange> parse_range(Context& context, FactKind kind, std::string_view fact, const Node& node);

// Whether a quantity is beyond kMostQuantity, which is reported; `shown` is how the policy writes it.
bool is_beyond(Context& context, std::int64_t quantity, std::string_view shown, const Region& at);

// "500 recipients / 1h", "25 MiB / 1d", "100 recipients / message".
std::optional<Limit> parse_limit(Context& context, const Node& node);

// "80%", "12.5%": hundredths of a percent. Nothing for anything else.
std::optional<std::int64_t> parse_share(std::string_view text);

// "22:30": minutes of the day; "24:00" is its end. Nothing for anything else.
std::optional<std::int64_t> parse_clock(std::string_view text);

}  // namespace replygate

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "policy/load/context.h"
#include "policy/rules/match.h"

namespace replygate {

// What a pattern allows of a fact that is a number: of an array any of its entries. What can never be is reported.
std::vector<NumberRange> number_pattern(Context& context, FactKind kind, std::string_view fact, const Node& pattern);

// Whether a fact is ever this number, and what to say where it is not.
bool is_ever(Fact fact, std::int64_t number);
std::string span_help(Fact fact);

}  // namespace replygate

#pragma once

#include <optional>
#include <string_view>

#include "policy/load/context.h"
#include "policy/rules/facts.h"

namespace replygate {

// The fact that a rule names so; reports what names none.
std::optional<FactRef> named_fact(Context& context, std::string_view name, const Region& at);

}  // namespace replygate

#pragma once

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// [store]. What is wrong is reported, and leaves the default.
StoreSettings load_store_settings(Context& context, const Node& table);

}  // namespace replygate

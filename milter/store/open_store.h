#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/clock.h"
#include "milter/store/health.h"
#include "policy/count/store.h"
#include "policy/rules/policy.h"

namespace replygate {

// The store that a policy names. A daemon that has it is given `patience` to end. On failure the reason, for people.
// `clock` and `health` outlive it.
tl::expected<std::unique_ptr<Store>, std::string> open_store(const StoreSettings& settings, const Clock& clock,
                                                             StoreHealth& health, Duration patience = {});

}  // namespace replygate

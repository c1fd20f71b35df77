#pragma once

#include <string>
#include <tl/expected.hpp>

#include "policy/count/raise.h"

namespace replygate {

// What is granted survives a restart, in raises.json of the state folder. What is over by `now` is left out. A file
// that is absent has none; one that makes no sense is an error for people.
tl::expected<Raises, std::string> read_raises(const std::string& folder, Instant now);
tl::expected<void, std::string> write_raises(const std::string& folder, const Raises& raises);

}  // namespace replygate

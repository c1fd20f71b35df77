#pragma once

#include <string>
#include <string_view>

namespace replygate {

// An address, a local part or a login without its tag (RFC 5233): "user+tag@example.org" is "user@example.org" where
// '+' is among `separators`. The first separator counts, but for one at the beginning. A local part that needs quotes
// has no tag. Pure; any thread.
std::string without_tag(std::string_view name, std::string_view separators);

}  // namespace replygate

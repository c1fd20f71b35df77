#pragma once

#include <string_view>
#include <vector>

namespace replygate {

// The messages of a mailbox in mbox format (RFC 4155); one, the text itself, where it is no mailbox. Views into it.
std::vector<std::string_view> messages_of(std::string_view text);

}  // namespace replygate

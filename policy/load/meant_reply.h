#pragma once

#include <string>
#include <string_view>

namespace replygate {

// A reply as SMTP or another program has it, in the syntax of a policy: code, enhanced code and text in one string, or
// an action and a text, "reject Go away". "" where the string is no reply.
std::string reply_as_table(std::string_view text);

}  // namespace replygate

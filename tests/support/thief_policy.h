#pragma once

namespace replygate::test {

// Stops whoever's mail bounces too often: at half of four recipients.
inline constexpr const char* kThiefPolicy = R"(
[site]
local_domains = ["here.example"]
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "thief"
per = "sender"
limit = "50% hard_bounces / 1h"
at_least = "4 recipients"
reply = 450
)";

}  // namespace replygate::test

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/remote/status.h"

// What codes and words say of time: whether to come back, and when. Pure; any thread.
namespace replygate {

// The first digit of the code; without one, of the enhanced code; without one, what the MTA's log or report says.
std::optional<Severity> stated_severity(const RemoteStatus& status);
// What the codes of the reply say; nothing without them.
std::optional<Severity> said_severity(const RemoteStatus& status);

// Whether words in lower case say that it is over, or that it goes on. Nothing where they do not tell.
std::optional<Severity> worded_severity(std::string_view text);

// "in 5 minutes", "for 60 seconds", "wait 1 hour": seconds, at most a week. Nothing where no such words are in it.
std::optional<std::int64_t> delay_in(std::string_view text);

}  // namespace replygate

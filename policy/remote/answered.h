#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/catalogue/codes.h"

// What the words around a reply tell. Pure; any thread.
namespace replygate {

// The command that was answered, as Postfix, Exim, Sendmail, qmail and DragonFly write it.
std::optional<Command> answered_command(std::string_view text);

// The host that a report says it was speaking to; "" where it names none.
std::string host_of(std::string_view text);

}  // namespace replygate

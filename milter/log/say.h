#pragma once

#include <string_view>

namespace replygate {

// One line on stderr, for whoever runs the daemon.
void say(std::string_view text);

}  // namespace replygate

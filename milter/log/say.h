#pragma once

#include <string_view>

namespace replygate {

// One line on stderr, for whoever runs the daemon; one that cannot be written is lost. Control characters
// are replaced, so that nobody outside can add a line. Any thread.
void say(std::string_view text);

}  // namespace replygate

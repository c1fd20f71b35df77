#include "milter/log/say.h"

#include <fmt/format.h>

#include <cstdio>

namespace replygate {

void say(std::string_view text) { fmt::print(stderr, "replygate: {}\n", text); }

}  // namespace replygate

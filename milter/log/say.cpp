#include "milter/log/say.h"

#include <fmt/format.h>

#include <cstdio>

namespace replygate {

void say(std::string_view text) {
  const std::string line = fmt::format("replygate: {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace replygate

#include "milter/log/say.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace replygate {

void say(std::string_view text) {
  std::string line = fmt::format("replygate: {}", text);
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace replygate

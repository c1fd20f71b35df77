#pragma once

#include <cstdio>

namespace replygate {

// The one set of colours of all commands; all "" where the stream is no terminal, or somebody has set NO_COLOR.
struct Colors {
  const char* good = "";
  const char* bad = "";
  const char* warning = "";
  const char* quiet = "";
  const char* off = "";
};

Colors colors_of(std::FILE* stream);

}  // namespace replygate

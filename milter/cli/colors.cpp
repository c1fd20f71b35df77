#include "milter/cli/colors.h"

#include <unistd.h>

#include <cstdlib>

namespace replygate {

Colors colors_of(std::FILE* stream) {
  const char* no = ::secure_getenv("NO_COLOR");
  const bool wanted = ::isatty(::fileno(stream)) != 0 && (no == nullptr || *no == '\0');
  return wanted ? Colors{"\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"} : Colors();
}

}  // namespace replygate

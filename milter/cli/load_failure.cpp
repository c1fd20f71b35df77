#include "milter/cli/load_failure.h"

#include <fmt/format.h>

#include <cstdio>

#include "milter/cli/commands.h"

namespace replygate {

void print_diagnostics(std::span<const Diagnostic> diagnostics, const Sources& sources) {
  for (const Diagnostic& d : diagnostics) fmt::print(stderr, "{}", render(d, sources));
}

int status_of_failure(std::span<const Diagnostic> diagnostics) {
  return diagnostics.front().code == Rg::unreadable_file ? kNoInput : kPolicyError;
}

}  // namespace replygate

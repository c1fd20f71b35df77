#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "milter/cli/commands.h"
#include "milter/files.h"

namespace replygate {

int check_command(const CheckOptions& options) {
  const Loaded loaded = load_policy_file(options.file);
  const auto warnings = std::ranges::count(loaded.diagnostics, Diagnostic::Level::warning, &Diagnostic::level);
  if (options.json) {
    fmt::print("{}", render_json(loaded.diagnostics));
  } else {
    for (const Diagnostic& d : loaded.diagnostics) fmt::print(stderr, "{}", render(d, loaded.sources));
  }
  const bool unreadable = !loaded.ok() && loaded.diagnostics.front().code == Rg::unreadable_file;
  if (unreadable) return kNoInput;
  if (!loaded.ok() || (options.strict && warnings > 0)) {
    if (!options.json) {
      const auto errors = static_cast<std::ptrdiff_t>(loaded.diagnostics.size()) - warnings;
      fmt::print(stderr, "{}: {} errors, {} warnings\n", options.file, errors, warnings);
    }
    return kPolicyError;
  }
  if (options.show) fmt::print("{}", loaded.policy->text());
  if (!options.json && !options.show) {
    fmt::print("{}: OK, {} rules, {} warnings\n", options.file, loaded.policy->named_rules(), warnings);
  }
  return kFine;
}

}  // namespace replygate

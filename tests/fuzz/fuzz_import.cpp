// Whatever an importer is given, what it writes is a policy without mistakes.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "milter/import/importer.h"
#include "policy/load/load.h"

namespace {

using namespace replygate;

void check(const Imported& imported) {
  if (imported.policy.empty()) {
    if (imported.lost.empty()) std::abort();
    return;
  }
  const Loaded loaded = load_policy("p", [&](const DataSource& source, std::string&) -> std::optional<std::string> {
    return source.path == "p" ? std::optional(imported.policy) : std::nullopt;
  });
  if (loaded.ok()) return;
  for (const Diagnostic& d : loaded.diagnostics) std::fputs(render(d, loaded.sources).c_str(), stderr);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0: check(import_access(text, "client")); break;
    case 1: check(import_access(text, "helo")); break;
    case 2: check(import_access(text, "sender")); break;
    case 3: check(import_access(text, "recipient")); break;
    case 4: check(import_postfwd(text)); break;
    default: check(import_policyd_rate_limit(text)); break;
  }
  return 0;
}

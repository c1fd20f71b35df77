// Whatever an importer is given, what it writes is a policy without mistakes, and a rule that had conditions has some.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "milter/import/importer.h"
#include "milter/import/postfwd/lexer.h"
#include "milter/import/writer.h"
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

bool has_rule_without_conditions(const std::string& policy) {
  constexpr std::string_view kHead = "\n[[rule]]\n";
  for (std::size_t at = policy.find(kHead); at != std::string::npos;) {
    const std::size_t next = policy.find(kHead, at + 1);
    const std::string_view rule = std::string_view(policy).substr(at, next == std::string::npos ? next : next - at);
    if (rule.find("\nwhen ") == std::string_view::npos && rule.find("\nunless ") == std::string_view::npos) return true;
    at = next;
  }
  return false;
}

void check_all_conditional(const Imported& imported) {
  check(imported);
  if (has_rule_without_conditions(imported.policy)) std::abort();
}

// A rule without conditions comes of one that had none.
void check_postfwd(const std::string& text) {
  const Imported imported = import_postfwd(text);
  check(imported);
  if (!has_rule_without_conditions(imported.policy)) return;
  for (const auto& line : import::postfwd::lines_of(import::cleaned(text))) {
    const auto conditions =
        std::ranges::count_if(line.items, [](const auto& i) { return i.key != "id" && i.key != "action"; });
    if (conditions == 0) return;
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 11) {
    case 0: check_all_conditional(import_access(text, {.as = "client"})); break;
    case 1: check_all_conditional(import_access(text, {.as = "helo"})); break;
    case 2: check_all_conditional(import_access(text, {.as = "sender", .delimiters = "+"})); break;
    case 3: check_all_conditional(import_access(text, {.as = "recipient", .dotted_parents = true})); break;
    case 4: check_postfwd(text); break;
    case 5: check_all_conditional(import_policyd_rate_limit(text)); break;
    case 6:
      check(import_postfix(text, {.prefix = "", .read = [&](const std::string&) { return std::optional(text); }}));
      break;
    case 7: check(import_cbpolicyd(text)); break;
    case 8: check_all_conditional(import_iredapd(text)); break;
    case 9: check(import_rspamd(text)); break;
    default: check(import_exim(text)); break;
  }
  return 0;
}

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "milter/cli/commands.h"
#include "milter/cli/large_pages.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/table.h"
#include "milter/files.h"
#include "milter/outcome/outcome_place.h"
#include "policy/load/relay_finding.h"
#include "policy/mail/text.h"
#include "policy/scenario/test_report.h"

namespace replygate {
namespace {

Diagnostic failed_test(const TestResult& result) {
  std::string what;
  for (const Difference& d : result.differences) {
    what += fmt::format("{}{} is {}, not {}", what.empty() ? "" : "; ", d.what, d.got.empty() ? "none" : d.got,
                        d.expected.empty() ? "none" : d.expected);
  }
  Diagnostic d{.level = Diagnostic::Level::error,
               .code = Rg::test_failed,
               .message = fmt::format("the test \"{}\" fails: {}; {}", result.scenario->name, what, result.answer),
               .primary = {{.file = result.scenario->file}, ""},
               .secondary = {},
               .help = ""};
  d.primary.region.line = d.primary.region.end_line = result.scenario->line;
  d.primary.region.column = 1;
  d.primary.region.end_column = 9;
  return d;
}

int verdict(const CheckOptions& options, const Loaded& loaded, const std::string& relaying) {
  const auto how_many = [&](Diagnostic::Level level) {
    return static_cast<std::size_t>(std::ranges::count(loaded.diagnostics, level, &Diagnostic::level));
  };
  const std::size_t warnings = how_many(Diagnostic::Level::warning);
  const std::size_t errors = how_many(Diagnostic::Level::error);
  if (errors > 0 || (options.strict && warnings > 0)) {
    if (!options.json)
      fmt::print(stderr, "{}: {}, {}\n", options.file, counted(errors, "error"), counted(warnings, "warning"));
    return kPolicyError;
  }
  if (options.show) fmt::print("{}", fitted(loaded.policy->text(), terminal_width()));
  if (options.json || options.show) return kFine;
  fmt::print("{}: OK, {}, {}, {}\n", options.file, counted(loaded.policy->named_rules(), "rule"),
             counted(loaded.tests.size(), "test"), counted(warnings, "warning"));
  if (!relaying.empty()) fmt::print("{}\n", relaying);
  return kFine;
}

}  // namespace

int check_command(const CheckOptions& options) {
  prefer_large_pages();
  Loaded loaded = load_policy_file(options.file);
  std::string relaying;
  if (loaded.ok()) {
    const TestReport tests = run_tests(loaded.policy, loaded.tests);
    for (const TestResult& result : tests.results) {
      if (!result.differences.empty()) loaded.diagnostics.push_back(failed_test(result));
    }
    RelayFinding found = find_relaying(options.file, *loaded.policy);
    relaying = std::move(found.proved);
    if (found.warning) loaded.diagnostics.push_back(*std::move(found.warning));
    const auto text = loaded.sources.find(options.file);
    auto homeless =
        outcomes_without_folder(options.file, text == loaded.sources.end() ? "" : text->second, *loaded.policy);
    if (homeless) loaded.diagnostics.push_back(*std::move(homeless));
  }
  if (options.json) {
    fmt::print("{}", render_json(loaded.diagnostics));
  } else {
    print_diagnostics(loaded.diagnostics, loaded.sources);
  }
  const bool unreadable = !loaded.ok() && status_of_failure(loaded.diagnostics) == kNoInput;
  return unreadable ? kNoInput : verdict(options, loaded, relaying);
}

}  // namespace replygate

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/table.h"
#include "milter/files.h"
#include "policy/mail/text.h"
#include "policy/proof/relay.h"
#include "policy/scenario/test_report.h"

namespace replygate {
namespace {

Diagnostic at_top(const std::string& file, Diagnostic::Level level, Rg code, std::string message, std::string help) {
  return {.level = level,
          .code = code,
          .message = std::move(message),
          .primary = {{.file = file}, ""},
          .secondary = {},
          .help = std::move(help)};
}

Diagnostic failed_test(const TestResult& result) {
  std::string what;
  for (const Difference& d : result.differences) {
    what += fmt::format("{}{} is {}, not {}", what.empty() ? "" : "; ", d.what, d.got.empty() ? "none" : d.got,
                        d.expected.empty() ? "none" : d.expected);
  }
  Diagnostic d = at_top(result.scenario->file, Diagnostic::Level::error, Rg::test_failed,
                        fmt::format("the test \"{}\" fails: {}; {}", result.scenario->name, what, result.answer), "");
  d.primary.region.line = d.primary.region.end_line = result.scenario->line;
  d.primary.region.column = 1;
  d.primary.region.end_column = 9;
  return d;
}

struct WhyUndecided {
  std::string_view why;
  std::string_view help;
};

WhyUndecided why_undecided(Cause cause) {
  switch (cause) {
    case Cause::live:
      return {"it hangs on what sources say that are asked while mail comes",
              "let the rule that denies relaying name lists that are read as a whole, or write [site] relay = \"mta\""};
    case Cause::combinations:
      return {"there are too many combinations of conditions",
              "let one rule without other conditions deny relaying, or write [site] relay = \"mta\""};
    case Cause::unproven:
      return {
          "a way may be left that could not be played",
          "it depends on earlier recipients, messages or refusals, on times, limits or the content; let the rule that "
          "denies relaying stand first, or write [site] relay = \"mta\""};
    case Cause::untold:
      return {"without domain lists some mailers leave open which recipients are external",
              "name local_domains and relay_domains, or write [site] relay = \"mta\""};
    default:
      return {"patterns like regular expressions stand in the way", "write them as lists, or [site] relay = \"mta\""};
  }
}

// What the proof says, in one line; a diagnostic is added where it is no comfort.
std::string state_of_relaying(const std::string& file, const Policy& policy, std::vector<Diagnostic>& diagnostics) {
  if (policy.site().relay_by_mta) return "relaying is denied by the MTA, as [site] relay says";
  const RelayProof proof = prove_relay(policy);
  const auto warn = [&](Rg code, std::string message, std::string help) {
    diagnostics.push_back(at_top(file, Diagnostic::Level::warning, code, std::move(message), std::move(help)));
  };
  switch (proof.kind) {
    case RelayProof::Kind::closed: return "no stranger can relay through this policy (proved)";
    case RelayProof::Kind::open:
      warn(Rg::open_relay,
           fmt::format("the policy lets a stranger relay{}: {}", proof.through ? ", by " + *proof.through : "",
                       proof.transaction),
           proof.through
               ? fmt::format("move {} behind the rule that denies relaying, or give it a condition that no stranger "
                             "fulfils; where the MTA denies relaying write [site] relay = \"mta\"",
                             *proof.through)
               : "add a rule like no-open-relay of POLICY.md; where the MTA denies relaying write [site] relay = "
                 "\"mta\"");
      return "";
    case RelayProof::Kind::undecided:
      const WhyUndecided undecided = why_undecided(proof.cause);
      warn(Rg::relay_undecided, fmt::format("whether a stranger can relay could not be decided: {}", undecided.why),
           std::string(undecided.help));
      return "";
  }
  return "";
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
  Loaded loaded = load_policy_file(options.file);
  std::string relaying;
  if (loaded.ok()) {
    const TestReport tests = run_tests(loaded.policy, loaded.tests);
    for (const TestResult& result : tests.results) {
      if (!result.differences.empty()) loaded.diagnostics.push_back(failed_test(result));
    }
    relaying = state_of_relaying(options.file, *loaded.policy, loaded.diagnostics);
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

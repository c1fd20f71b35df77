#include "policy/scenario/test_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace replygate {

std::string differences_text(const TestResult& result) {
  std::string text;
  for (const Difference& d : result.differences) {
    text += fmt::format("  - {:<12} {}\n  + {:<12} {}\n", d.what, d.expected, d.what, d.got.empty() ? "(none)" : d.got);
  }
  if (!result.answer.empty()) text += fmt::format("  {}\n", result.answer);
  return text;
}

std::string place_of(const Scenario& scenario) { return fmt::format("{}:{}", scenario.file, scenario.line); }

std::string text_of(const TestResult& result) {
  return fmt::format("{} {}  ({})\n{}", result.differences.empty() ? "ok  " : "FAIL", result.scenario->name,
                     place_of(*result.scenario), differences_text(result));
}

std::string failures_text(const TestReport& report) {
  std::string text;
  for (const TestResult& r : report.results) {
    if (!r.differences.empty()) text += text_of(r);
  }
  return text;
}

std::string first_failure(const TestReport& report) {
  const auto failed = [](const TestResult& r) { return !r.differences.empty(); };
  const auto it = std::ranges::find_if(report.results, failed);
  if (it == report.results.end()) return "";
  const Difference& d = it->differences.front();
  return fmt::format("{} ({}): {} is {}, not {}; {}", it->scenario->name, place_of(*it->scenario), d.what,
                     d.got.empty() ? "none" : d.got, d.expected.empty() ? "none" : d.expected, it->answer);
}

}  // namespace replygate

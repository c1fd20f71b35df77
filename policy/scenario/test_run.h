#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "policy/rules/policy.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// Something that a test expected and did not get.
struct Difference {
  std::string what;  // "accepted", "last code"
  std::string expected;
  std::string got;
};

struct TestResult {
  const Scenario* scenario = nullptr;
  std::vector<Difference> differences;  // none: passed
  std::string answer;                   // of one that failed: what the policy said first, and which rule
};

struct TestReport {
  std::vector<TestResult> results;
  std::vector<std::string> never_matched;  // rules that held in no test, in the order of the policy

  bool passed() const;
};

// Runs each test with an empty store and its own clock. `tests` outlive the report.
TestReport run_tests(const std::shared_ptr<const Policy>& policy, std::span<const Scenario> tests);

}  // namespace replygate

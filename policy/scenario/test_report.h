#pragma once

#include <string>

#include "policy/scenario/test_run.h"

namespace replygate {

std::string place_of(const Scenario& scenario);          // file:line
std::string differences_text(const TestResult& result);  // what was expected and what came, marked
std::string text_of(const TestResult& result);           // a line, and its differences
std::string failures_text(const TestReport& report);     // of the tests that fail
std::string first_failure(const TestReport& report);     // the first of them in a line

}  // namespace replygate

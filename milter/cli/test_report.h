#pragma once

#include "policy/scenario/test_run.h"

namespace replygate {

// Names the tests that fail, with marked differences, on stderr.
void print_failures(const TestReport& report);

}  // namespace replygate

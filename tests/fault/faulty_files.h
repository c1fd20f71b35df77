#pragma once

#include <atomic>
#include <cstdint>

namespace replygate::test {

// What a test and the process that it spoils share, in a file that both have mapped: which calls of the file system
// fail. Calls count that are made for a path under `folder`, or a descriptor opened there.
struct FaultPlan {
  std::atomic<std::int64_t> calls;
  std::atomic<std::int64_t> first;    // the number of the first call that fails
  std::atomic<std::int64_t> count;    // of calls that fail; 0: none
  std::atomic<std::int32_t> error;    // errno
  std::atomic<std::int32_t> wait_ms;  // each such call waits so long, and then does what it should
  char folder[256];

  static constexpr const char* kVariable = "REPLYGATE_FAULT_PLAN";  // names the file
};

}  // namespace replygate::test

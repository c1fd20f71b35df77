#pragma once

#include <cstdint>

namespace replygate {

// Calls of operator new so far, of all threads.
std::int64_t allocations();

}  // namespace replygate

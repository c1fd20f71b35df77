#pragma once

#include <chrono>
#include <thread>

namespace replygate::test {

// Whether a condition comes true in ten seconds; asked every five milliseconds.
template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return condition();
}

}  // namespace replygate::test

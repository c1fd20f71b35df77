#pragma once

#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

// Waiting that comes to an end, so that a test which fails says where.
namespace replygate::test {

// Whether a condition comes true in ten seconds; asked every five milliseconds.
template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return condition();
}

// What a promise comes to. Throws where it is not kept within a minute.
template <typename Result>
Result soon(std::promise<Result>& promise) {
  std::future<Result> future = promise.get_future();
  if (future.wait_for(std::chrono::minutes(1)) != std::future_status::ready) {
    throw std::runtime_error("waited a minute for an answer");
  }
  return future.get();
}

}  // namespace replygate::test

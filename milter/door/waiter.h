#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "policy/decide/session.h"

namespace replygate {

// Lets a thread wait for the answer to one event, on whatever thread that comes.
class Waiter {
 public:
  // To be handed to one event; the waiter must outlive its call.
  Session::Done done() {
    return [this](Answer answer) {
      const std::lock_guard lock(mutex_);
      answer_ = std::move(answer);
      answered_.notify_one();
    };
  }

  Answer wait() {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return answer_.has_value(); });
    return *std::move(answer_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<Answer> answer_;  // guarded by mutex_
};

}  // namespace replygate

#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "policy/rules/policy.h"

namespace replygate {

// The policy that new sessions begin with. Any thread.
class CurrentPolicy {
 public:
  explicit CurrentPolicy(std::shared_ptr<const Policy> policy) : policy_(std::move(policy)) {}

  std::shared_ptr<const Policy> get() const {
    const std::lock_guard lock(mutex_);
    return policy_;
  }
  void set(std::shared_ptr<const Policy> policy) {
    const std::lock_guard lock(mutex_);
    policy_.swap(policy);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Policy> policy_;  // guarded by mutex_
};

}  // namespace replygate

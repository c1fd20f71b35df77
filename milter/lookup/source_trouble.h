#pragma once

#include <mutex>
#include <string>

#include "milter/log/throttle.h"

namespace replygate {

// What is wrong with something that decisions ask, for whoever looks; stderr hears of it, a line in ten seconds at the
// most. Any thread.
class SourceTrouble {
 public:
  // "[mailbox] /path", and what follows for decisions.
  SourceTrouble(std::string source, std::string consequence)
      : source_(std::move(source)), consequence_(std::move(consequence)) {}

  void begins(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (why_ == why) return;
    why_ = why;
    throttle_.say(fmt::format("{}: {}; {}", source_, why_, consequence_));
  }
  void ends() {
    const std::lock_guard lock(mutex_);
    why_.clear();
  }
  std::string text() const {  // "" where nothing is wrong
    const std::lock_guard lock(mutex_);
    return why_.empty() ? "" : fmt::format("{}: {}", source_, why_);
  }

 private:
  const std::string source_;
  const std::string consequence_;
  Throttle throttle_;
  mutable std::mutex mutex_;
  std::string why_;  // guarded by mutex_
};

}  // namespace replygate

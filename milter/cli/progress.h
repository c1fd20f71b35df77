#pragma once

#include <chrono>
#include <string>

#include "milter/outcome/mail_logs.h"

namespace replygate {

// A line on stderr that says how far a long reading is; nothing where stderr is no terminal. One thread.
class Progress {
 public:
  explicit Progress(std::string unit) : unit_(std::move(unit)) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void tell(const LogProgress& so_far);
  void clear();

 private:
  std::string unit_;  // of what is read: "lines"
  std::chrono::steady_clock::time_point next_{};
  bool shown_ = false;
};

}  // namespace replygate

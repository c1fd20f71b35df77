#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string_view>
#include <vector>

#include "tests/support/wire.h"

namespace replygate::test {

using SteadyTime = std::chrono::steady_clock::time_point;
inline SteadyTime now() { return std::chrono::steady_clock::now(); }
inline double seconds_since(SteadyTime start) { return std::chrono::duration<double>(now() - start).count(); }

// An MTA's connection that has negotiated (each event is answered) and told of its client. Throws where it is not
// served in time.
inline WireClient open_session(std::string_view address,
                               std::chrono::milliseconds patience = std::chrono::seconds(30)) {
  WireClient client(address, patience);
  client.ask(negotiation(6, 0x1ff, 0));
  client.ask(connect_packet("192.0.2.1"));
  return client;
}

// Milliseconds. Any thread.
class Latencies {
 public:
  void add(double milliseconds) {
    const std::lock_guard lock(mutex_);
    all_.push_back(milliseconds);
  }
  double percentile(double percent) {
    const std::lock_guard lock(mutex_);
    if (all_.empty()) return 1e9;
    const auto rank = static_cast<std::ptrdiff_t>(static_cast<double>(all_.size() - 1) * percent / 100);
    std::nth_element(all_.begin(), all_.begin() + rank, all_.end());
    return all_[static_cast<std::size_t>(rank)];
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return all_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<double> all_;
};

}  // namespace replygate::test

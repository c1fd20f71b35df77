#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace replygate {

// What is wrong with a store, for whoever asks; stderr hears of each cause at most once a second, and when it is over.
// Any thread.
class StoreHealth {
 public:
  struct State {
    std::string trouble;                           // the present cause, "" for none
    std::chrono::seconds lasting{0};               // since when there is trouble, of whatever cause
    std::map<std::string, std::int64_t> failures;  // of each cause, since the start
  };

  void failed(const std::string& cause, const std::string& consequence);
  // What is over already.
  void noticed(const std::string& cause, const std::string& consequence);
  void recovered();
  void recovered_from(const std::string& cause);  // where nothing else has failed since
  // What decisions have found shows again with the next one; where none has failed for so long it may be over.
  void recovered_if_quiet(std::chrono::seconds quiet);
  bool good() const;
  State state() const;

 private:
  void note(const std::string& cause, const std::string& consequence);
  void end();

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  State state_;
  std::optional<std::chrono::steady_clock::time_point> ended_;  // an end was said last
  std::chrono::steady_clock::time_point since_{};
  std::chrono::steady_clock::time_point failed_{};  // last
  std::map<std::string, std::chrono::steady_clock::time_point> said_;
};

}  // namespace replygate

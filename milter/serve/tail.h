#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "milter/log/rendering.h"

namespace replygate {

// Hands records to those who watch at the moment. Any thread.
class Tail final : public RecordListener {
 public:
  // What a watcher wants to see: what is not set lets all pass.
  struct Filter {
    std::string address;            // sender, user or recipient
    std::string rule;               // that answered, or would have
    int code = 0;                   // that the client got, or would have
    std::optional<IpNetwork> from;  // of the client
    bool outcomes = false;          // instead of decisions: what became of them
  };
  using Watcher = std::function<void(const std::string& json)>;  // a line with LF; must not block

  // The watcher is called on the threads that record, until unwatch() has returned.
  std::uint64_t watch(Filter filter, Watcher watcher);
  void unwatch(std::uint64_t id);

  void hear(Rendering& rendering) override;
  // What became of a message: `addresses` are its sender, user and recipient; `line` is for those who want outcomes.
  void tell_outcome(std::initializer_list<std::string_view> addresses, std::string_view client_ip,
                    const std::string& line);

 private:
  static bool matches(const Filter& filter, const Record& record);

  std::atomic<int> watchers_{0};
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::uint64_t, std::pair<Filter, Watcher>> watching_;
  std::uint64_t last_id_ = 0;
};

}  // namespace replygate

#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "policy/remote/log_event.h"

namespace replygate {

// An event that outlives its line.
class KeptEvent {
 public:
  explicit KeptEvent(const LogEvent& event) : event_(event) {
    std::size_t size = 0;
    for (const auto text : kTexts) size += (event.*text).size();
    octets_.reserve(size);
    for (const auto text : kTexts) {
      const std::string_view from = event.*text;
      event_.*text = {octets_.data() + octets_.size(), from.size()};
      octets_.insert(octets_.end(), from.begin(), from.end());
    }
  }
  KeptEvent(const KeptEvent&) = delete;
  KeptEvent& operator=(const KeptEvent&) = delete;
  KeptEvent(KeptEvent&&) noexcept = default;
  KeptEvent& operator=(KeptEvent&&) noexcept = default;
  ~KeptEvent() = default;

  const LogEvent& event() const { return event_; }

 private:
  static constexpr std::array kTexts = {
      &LogEvent::host,        &LogEvent::program,   &LogEvent::pid,   &LogEvent::id,        &LogEvent::next,
      &LogEvent::client_name, &LogEvent::client_ip, &LogEvent::user,  &LogEvent::mechanism, &LogEvent::sender,
      &LogEvent::recipient,   &LogEvent::original,  &LogEvent::relay, &LogEvent::dsn,       &LogEvent::status,
      &LogEvent::text,        &LogEvent::reply};

  std::vector<char> octets_;  // stays where it is when it is moved
  LogEvent event_;
};

}  // namespace replygate

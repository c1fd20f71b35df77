#pragma once

#include <cstdint>
#include <optional>

namespace replygate {

// What is known of the room in a recipient's mailbox. A value.
struct MailboxUse {
  enum class State : std::uint8_t {
    untold,  // it cannot be told: the source did not answer, or failed
    none,    // there is no such mailbox, an alias for instance: none that could be full
    used,    // by so many percent
  };

  State state = State::untold;
  std::int64_t percent = 0;

  static MailboxUse none() { return {State::none, 0}; }
  static MailboxUse of(std::int64_t percent) { return {State::used, percent}; }
  static MailboxUse maybe(std::optional<std::int64_t> percent) { return percent ? of(*percent) : MailboxUse(); }

  bool operator==(const MailboxUse&) const = default;
};

}  // namespace replygate

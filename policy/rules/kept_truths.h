#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/rules/match.h"

namespace replygate {

// What conditions have come to that name only what stays the same from MAIL to the end of the message, so that they are
// not judged again for each recipient. Belongs to one message, and is used by one thread at a time.
class KeptTruths {
 public:
  // Of a policy with so many such conditions; see Condition::kept_as.
  explicit KeptTruths(std::size_t conditions) : truths_(conditions, kUnjudged) {}

  template <typename Judge>
  Truth of(const Condition& condition, Judge judge) {
    std::uint8_t& kept = truths_[condition.kept_as];
    if (kept == kUnjudged) kept = static_cast<std::uint8_t>(judge());
    return static_cast<Truth>(kept);
  }

  std::size_t octets() const { return truths_.size(); }

 private:
  static constexpr std::uint8_t kUnjudged = 0xff;

  std::vector<std::uint8_t> truths_;
};

}  // namespace replygate

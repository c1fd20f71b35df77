#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// Enhanced status codes "class.subject.detail" (RFC 3463, registry of RFC 5248).
// Constant data; every function may be called from any thread.
namespace replygate {

struct EnhancedCode {
  std::uint16_t severity = 0;  // 2, 4 or 5
  std::uint16_t subject = 0;   // 0..999
  std::uint16_t detail = 0;    // 0..999

  // Exactly D.S.N with D in {2,4,5} and at most three digits in S and N, without leading zeros; else nothing.
  static std::optional<EnhancedCode> parse(std::string_view text);
  std::string text() const;

  auto operator<=>(const EnhancedCode&) const = default;
};

// One registered subject.detail; it holds for the classes 2, 4 and 5 alike.
struct EnhancedStatus {
  std::uint16_t subject = 0;
  std::uint16_t detail = 0;
  std::string_view meaning;
  std::string_view defined_by;
};

// All registered rows, ascending by subject and detail.
std::span<const EnhancedStatus> enhanced_statuses();

// The row of subject.detail, or null where it is not registered.
const EnhancedStatus* find_enhanced_status(EnhancedCode code);

// "success", "persistent transient failure", "permanent failure".
std::string_view class_in_words(EnhancedCode code);

// Subject alone in words, e.g. "mailbox" for X.2; "unregistered subject" beyond the registry.
std::string_view subject_in_words(EnhancedCode code);

}  // namespace replygate

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/catalogue/codes.h"
#include "policy/catalogue/enhanced.h"

namespace replygate {

// A refusal as the client gets it. A Reply that exists is well-formed: code 400..599, enhanced class equal to the
// code's first digit, one to kMostLines lines of printable ASCII, each at most kMostOctets with code and CRLF
// (RFC 5321 §4.5.3.1.5), none empty.
class Reply {
 public:
  static constexpr std::size_t kMostOctets = 512;
  static constexpr std::size_t kMostLines = 16;

  // Nothing where code and enhanced contradict each other or are no refusal. The text is data: control characters,
  // CR, LF and octets above 0x7e become '?', long lines are cut, surplus lines dropped, an empty text is completed.
  // `reserve` octets of the first line are left free for what an MTA may insert.
  static std::optional<Reply> make(int code, EnhancedCode enhanced, std::span<const std::string> lines,
                                   std::size_t reserve = 0);

  int code() const { return code_; }
  EnhancedCode enhanced() const { return enhanced_; }
  const std::vector<std::string>& lines() const { return lines_; }
  Severity severity() const { return severity_of(code_); }

  // The lines joined by one blank.
  std::string text() const;
  // As on the wire, without CRLF at the end: "550-5.7.1 first\r\n550 5.7.1 last".
  std::string wire() const;
  // "571 5.7.1 text", one line.
  std::string one_line() const;

  bool operator==(const Reply&) const = default;

 private:
  Reply(int code, EnhancedCode enhanced) : code_(code), enhanced_(enhanced) {}

  int code_;
  EnhancedCode enhanced_;
  std::vector<std::string> lines_;
};

// The catalogue's own reply for a classification, which must exist.
Reply default_reply(std::string_view slug);

// Octets of a reply line before its text: "550 5.7.1 ".
std::size_t prefix_size(EnhancedCode enhanced);

}  // namespace replygate

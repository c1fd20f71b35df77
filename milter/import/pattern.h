#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace replygate::import {

// What a fact holds, as far as patterns of it differ.
enum class Text : std::uint8_t { plain, host, address, login, local };

// The pattern that this value alone matches.
std::string exact_pattern(std::string_view value, Text kind);

// A regular expression of Perl or PCRE, as RE2 has it with the same meaning.
class Regex {
 public:
  // Nothing where RE2 cannot have it.
  static std::optional<Regex> parse(std::string_view source);

  bool matches(std::string_view text) const;  // anywhere, ignoring case
  std::string pattern() const { return "/" + source_ + "/"; }

 private:
  explicit Regex(std::string_view source) : source_(source) {}
  std::string source_;
};

}  // namespace replygate::import

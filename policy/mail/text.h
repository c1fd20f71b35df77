#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Small pure helpers on ASCII text; bytes above 0x7f pass through unchanged. Any thread.
namespace replygate {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
constexpr bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// Which octets are among some.
class OctetSet {
 public:
  constexpr explicit OctetSet(std::string_view octets) {
    for (const char c : octets) has_[static_cast<unsigned char>(c)] = true;
  }
  constexpr bool has(char c) const { return has_[static_cast<unsigned char>(c)]; }

 private:
  std::array<bool, 256> has_{};
};

// Eight octets at once. Added to an octet of ASCII, each constant reaches its highest bit: from 'A' on, and beyond 'Z'.
inline bool is_lower_ascii_word(const char* begin) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  std::uint64_t octets = 0;
  std::memcpy(&octets, begin, sizeof octets);
  const std::uint64_t from_a = octets + (0x80 - 'A') * kEach;
  const std::uint64_t beyond_z = octets + (0x7f - 'Z') * kEach;
  return ((octets | (from_a & ~beyond_z)) & (0x80 * kEach)) == 0;
}

// Nothing beyond ASCII, for texts of any length.
inline bool is_ascii_text(std::string_view text) {
  constexpr std::uint64_t kHighest = 0x8080808080808080;
  std::uint64_t found = 0;
  std::size_t at = 0;
  for (; at + sizeof found <= text.size() && (found & kHighest) == 0; at += sizeof found) {
    std::memcpy(&found, text.data() + at, sizeof found);
  }
  return (found & kHighest) == 0 && std::ranges::all_of(text.substr(at), [](char c) { return is_ascii(c); });
}

// Nothing beyond ASCII, and no capital letter: in its lower case already.
inline bool is_lower_ascii(std::string_view text) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  if (text.size() < kWord) {
    return std::ranges::all_of(text, [](char c) { return is_ascii(c) && c == lower(c); });
  }
  const char* last = text.data() + text.size() - kWord;
  for (const char* at = text.data(); at < last; at += kWord) {
    if (!is_lower_ascii_word(at)) return false;
  }
  return is_lower_ascii_word(last);  // may look at some once more
}

std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text);  // blanks, CR and LF at both ends
bool equal_ignoring_case(std::string_view a, std::string_view b);

// `text` cut at each `separator`; the pieces are trimmed, empty ones kept.
std::vector<std::string_view> split(std::string_view text, char separator);

// The lines of a text, without LF; nothing behind the last one.
std::vector<std::string> lines_of(std::string_view text);

// "a, b or c".
std::string join_or(std::span<const std::string_view> words);

// In one line: '?' for control characters. What strangers wrote is data: it must begin no line and command no terminal.
std::string without_controls(std::string text);

// Whether a word is one of several that are parted by single blanks.
bool is_one_of(std::string_view word, std::string_view words);

// "1 rule", "2 rules": `one` is a noun whose plural ends in s.
std::string counted(std::uint64_t number, std::string_view one);
inline std::string counted(std::int64_t number, std::string_view one) {
  return counted(static_cast<std::uint64_t>(number), one);
}

// The word of `words` nearest to `word` by edit distance, if near enough to be a typing error; else "".
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

}  // namespace replygate

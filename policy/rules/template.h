#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/rules/facts.h"

namespace replygate {

// What a reply text may name besides facts.
enum class Word : std::uint8_t { rule, limit, used, retry_after, ref };

struct Words {
  std::string_view rule;
  std::string_view limit;  // "500 recipients / 1h"
  std::string_view used;
  std::string_view retry_after;  // "12m"
  std::string_view ref;
};

// What a text is for: a reply is printable ASCII without empty lines (RFC 5321 §4.2); mail may be any text.
enum class TextFor : std::uint8_t { reply, mail };

// A reply text: literal lines with {fact} and {word} in them; "{{" and "}}" stand for the braces. Immutable.
class ReplyTemplate {
 public:
  struct Mistake {
    std::size_t at = 0;  // offset in the text
    std::size_t length = 0;
    std::string message;
    std::string help;
  };

  ReplyTemplate() = default;

  using Mistakes = std::vector<Mistake>;

  // Lines are parted by LF. On failure all mistakes, of those against RFC 5321 the first of a kind.
  static std::variant<ReplyTemplate, Mistakes> parse(std::string_view text, TextFor use = TextFor::reply);

  // One string a line. Substituted values are data, cut to the length that the table of facts gives.
  std::vector<std::string> render(const Facts& facts, const Words& words) const;

  std::vector<FactRef> facts() const;
  bool names(Word word) const;
  // Octets of the longest line at the longest substitution, without reply code.
  std::size_t longest_line() const;
  std::size_t lines() const { return lines_.size(); }
  const std::string& source() const { return source_; }

  bool operator==(const ReplyTemplate& other) const { return source_ == other.source_; }

 private:
  using Piece = std::variant<std::string, FactRef, Word>;
  using Line = std::vector<Piece>;

  static void parse_line(std::string_view text, std::size_t offset, TextFor use, Line& line, Mistakes& mistakes);

  std::string source_;
  std::vector<Line> lines_;
};

}  // namespace replygate

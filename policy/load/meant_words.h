#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// A quantity in words, taken apart: numbers, words in small letters, and signs.
class MeantWords {
 public:
  explicit MeantWords(std::string_view text);

  bool at_end() const { return at_ == tokens_.size(); }

  // Each takes what it understands from the front; nothing, and nothing taken, otherwise.
  std::optional<double> number();            // "1,000", "1.5", "10k"
  bool word(std::string_view alternatives);  // one of several, parted by blanks
  bool is_next(std::string_view alternatives) const;
  std::string any_word();
  std::optional<std::int64_t> seconds_each();  // "min", "hours": of the unit of time
  std::optional<std::int64_t> octets_each();   // "megabytes", "MiB"

 private:
  struct Token {
    std::string text;
    std::optional<double> number;
  };

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace replygate

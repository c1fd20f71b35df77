#pragma once

#include <optional>
#include <string_view>

namespace replygate {

// "<…>" at the begin of a text, without the brackets; what stands in quotes does not end it.
std::optional<std::string_view> take_bracketed(std::string_view& text);

// Takes fields from the begin of a text, one after the other. What is not there is not taken. Borrows the text.
class LogFields {
 public:
  explicit LogFields(std::string_view text) : rest_(text) {}

  // "4jZK7S3Hpsz1fxXq: " or "NOQUEUE: ".
  std::optional<std::string_view> id();

  // "key=<…>, ". What stands in quotes ends no address; one whose quotes the log left away ends at the '>' before
  // ", relay=" or ", orig_to=".
  std::optional<std::string_view> address(std::string_view key);

  // "<…>" alone.
  std::optional<std::string_view> bracketed() { return take_bracketed(rest_); }

  // "key=…, " up to the first ", ", of whatever key.
  struct Field {
    std::string_view key;
    std::string_view value;
  };
  std::optional<Field> next();

  // "key=…, " up to the first ", ".
  std::optional<std::string_view> value(std::string_view key);

  // "key=…" up to the first `next`, of which ", " is taken.
  std::optional<std::string_view> value_before(std::string_view key, std::string_view next);

  // "key=word", a blank behind it.
  std::optional<std::string_view> last_word(std::string_view key);

  bool take(std::string_view words);

  // "2026-11-29 12:00:00 ", with "+0100 ", ".123 " and "[pid] " where they are, and the message's id.
  bool exim_start();
  std::string_view exim_id() const { return exim_id_; }

  std::string_view rest() const { return rest_; }

 private:
  bool take_key(std::string_view key);

  std::string_view rest_;
  std::string_view exim_id_;
};

// "(text)" without the parentheses.
std::string_view in_parentheses(std::string_view text);

}  // namespace replygate

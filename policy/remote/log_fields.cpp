#include "policy/remote/log_fields.h"

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestId = 40;

bool is_id_octet(char c) { return is_digit(c) || is_alpha(c) || c == '-'; }

// Words that end in a colon are ids to nobody: "warning", "fatal". An id has a digit, or is hexadecimal, or is long and
// has no vowel.
bool is_id(std::string_view word) {
  constexpr std::size_t kShortestLongId = 10;
  if (word == "NOQUEUE") return true;
  for (const char c : word) {
    if (is_digit(c)) return true;
  }
  if (word.find_first_not_of("ABCDEF") == std::string_view::npos) return true;
  return word.size() >= kShortestLongId && word.find_first_of("aeiouAEIOU-") == std::string_view::npos;
}

bool is_letter_of_key(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

bool looks_like(std::string_view text, std::string_view form) {
  if (text.size() < form.size()) return false;
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] == '9' ? !is_digit(text[i]) : text[i] != form[i]) return false;
  }
  return true;
}

std::string_view word_of(std::string_view text) { return text.substr(0, text.find(' ')); }

}  // namespace

bool LogFields::take(std::string_view words) {
  if (!rest_.starts_with(words)) return false;
  rest_.remove_prefix(words.size());
  return true;
}

bool LogFields::take_key(std::string_view key) {
  if (!rest_.starts_with(key) || rest_.size() <= key.size() || rest_[key.size()] != '=') return false;
  rest_.remove_prefix(key.size() + 1);
  return true;
}

std::optional<std::string_view> LogFields::id() {
  std::size_t end = 0;
  while (end < rest_.size() && end < kLongestId && is_id_octet(rest_[end])) ++end;
  if (end < 5 || rest_.substr(end, 2) != ": ") return std::nullopt;
  const std::string_view id = rest_.substr(0, end);
  if (!is_id(id)) return std::nullopt;
  rest_.remove_prefix(end + 2);
  return id;
}

std::optional<std::string_view> LogFields::address(std::string_view key) {
  const std::string_view before = rest_;
  if (!take_key(key)) return std::nullopt;
  std::string_view after = rest_;
  if (const auto address = take_bracketed(after); address && after.starts_with(", ")) {
    rest_ = after.substr(2);
    return address;
  }
  for (std::size_t end = rest_.find(">, "); rest_.starts_with('<') && end != std::string_view::npos;
       end = rest_.find(">, ", end + 1)) {
    const std::string_view next = rest_.substr(end + 3);
    if (!next.starts_with("relay=") && !next.starts_with("orig_to=<")) continue;
    const std::string_view address = rest_.substr(1, end - 1);
    rest_ = next;
    return address;
  }
  rest_ = before;
  return std::nullopt;
}

std::optional<std::string_view> LogFields::value(std::string_view key) {
  const std::string_view before = rest_;
  if (!take_key(key)) return std::nullopt;
  const std::size_t end = rest_.find(", ");
  if (end == std::string_view::npos) {
    rest_ = before;
    return std::nullopt;
  }
  const std::string_view value = rest_.substr(0, end);
  rest_.remove_prefix(end + 2);
  return value;
}

std::optional<LogFields::Field> LogFields::next() {
  std::size_t end = 0;
  while (end < rest_.size() && is_letter_of_key(rest_[end])) ++end;
  const std::string_view key = rest_.substr(0, end);
  const auto found = key.empty() ? std::nullopt : value(key);
  if (!found) return std::nullopt;
  return Field{key, *found};
}

std::optional<std::string_view> LogFields::value_before(std::string_view key, std::string_view next) {
  if (!rest_.starts_with(key) || rest_.substr(key.size(), 1) != "=") return std::nullopt;
  const std::size_t end = rest_.find(next, key.size() + 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view value = rest_.substr(key.size() + 1, end - key.size() - 1);
  rest_.remove_prefix(end + 2);
  return value;
}

std::optional<std::string_view> LogFields::last_word(std::string_view key) {
  if (!take_key(key)) return std::nullopt;
  const std::string_view word = word_of(rest_);
  rest_.remove_prefix(std::min(rest_.size(), word.size() + 1));
  return word;
}

bool LogFields::exim_start() {
  if (!looks_like(rest_, "9999-99-99 99:99:99")) return false;
  std::string_view rest = rest_.substr(19);
  for (int i = 0; i < 4; ++i) {
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    const std::string_view word = word_of(rest);
    if (looks_like(word, "+9999") || looks_like(word, "-9999") || looks_like(word, ".999") || word.starts_with('[')) {
      rest.remove_prefix(std::min(rest.size(), word.size()));
      continue;
    }
    const bool is_id = word.size() >= 16 && word.size() <= 23 && word[6] == '-';
    const bool is_client = word.starts_with("H=");  // who was refused before there was a message
    if (!is_id && !is_client) return false;
    if (is_id) {
      exim_id_ = word;
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    rest_ = rest;
    return true;
  }
  return false;
}

std::optional<std::string_view> take_bracketed(std::string_view& text) {
  if (!text.starts_with('<')) return std::nullopt;
  bool quoted = false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == '>' && !quoted) {
      const std::string_view inner = text.substr(1, i - 1);
      text.remove_prefix(i + 1);
      return inner;
    }
  }
  return std::nullopt;
}

std::string_view in_parentheses(std::string_view text) {
  if (text.starts_with('(')) text.remove_prefix(1);
  text = trim(text);
  if (text.ends_with(')')) text.remove_suffix(1);
  return text;
}

}  // namespace replygate

#include "policy/load/pattern_signs.h"

#include <algorithm>

#include "policy/mail/text.h"
#include "policy/rules/facts.h"

namespace replygate {

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?") != std::string_view::npos || text.starts_with('@') || text.ends_with('@') ||
         text.starts_with('.') || text.starts_with('/') || text.starts_with('$');
}

bool is_everyday(std::string_view text) {
  static constexpr OctetSet kEveryday("abcdefghijklmnopqrstuvwxyz0123456789.-_@+=");
  const bool marked = text.starts_with('@') || text.starts_with('.');
  if (marked) text.remove_prefix(1);
  return !text.empty() && (is_alpha(text.front()) || is_digit(text.front())) &&
         std::ranges::all_of(text, [](char c) { return kEveryday.has(c); });
}

bool is_closed_expression(std::string_view text) {
  return text.size() >= 2 && text.starts_with('/') && text.ends_with('/');
}

bool is_attribute_path(std::string_view text) {
  const std::size_t end = text.find('=');
  return end != std::string_view::npos && end > 1 && std::ranges::all_of(text.substr(1, end - 1), is_alpha);
}

bool looks_like_expression(std::string_view text) {
  if (text.starts_with('"')) return false;
  if (text.starts_with('^') || text.starts_with(".*") || text.starts_with(".+")) return true;
  if (text.size() > 1 && text.ends_with('$') && text.find_first_of("^*[(|\\") != std::string_view::npos) return true;
  const std::size_t escape = text.find('\\');
  return escape < text.size() - 1 && std::string_view(".dwsbDWSB@+-").find(text[escape + 1]) != std::string_view::npos;
}

std::string with_plain_dots(std::string_view text) {
  std::string plain(text);
  for (const std::string_view dot : {"\u3002", "\uff0e", "\uff61"}) {
    for (std::size_t at = plain.find(dot); at != std::string::npos; at = plain.find(dot, at)) {
      plain.replace(at, dot.size(), ".");
    }
  }
  return plain;
}

std::string_view fact_in_braces(std::string_view text) {
  const std::size_t open = text.find('{');
  const std::size_t close = text.find('}', std::min(open, text.size()));
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  const std::string_view name = text.substr(open + 1, close - open - 1);
  return find_fact_ref(name) ? text.substr(open, close - open + 1) : std::string_view();
}

}  // namespace replygate

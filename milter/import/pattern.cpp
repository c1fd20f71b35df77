#include "milter/import/pattern.h"

#include <re2/re2.h>

#include <algorithm>

#include "policy/base/re2_piece.h"
#include "policy/mail/text.h"

namespace replygate::import {
namespace {

RE2::Options quiet() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  return options;
}

bool is_ordinary(std::string_view value) {
  return !value.empty() && std::ranges::all_of(value, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.' || c == '+' || c == '=' || c == '@';
  });
}

// Whether the pattern language reads the value as itself.
bool is_itself(std::string_view value, Text kind) {
  if (!is_ordinary(value) || value.front() == '.') return false;
  const auto ats = std::ranges::count(value, '@');
  switch (kind) {
    case Text::plain: return true;
    case Text::host:
    case Text::local: return ats == 0;
    case Text::address: return ats == 1 && value.front() != '@' && value.back() != '@';
    case Text::login: return ats == 0 || (ats == 1 && value.front() != '@' && value.back() != '@');
  }
  return false;
}

}  // namespace

std::string exact_pattern(std::string_view value, Text kind) {
  if (value.empty() || is_itself(value, kind)) return std::string(value);
  return "/^" + RE2::QuoteMeta(to_piece(value)) + "$/";
}

std::optional<Regex> Regex::parse(std::string_view source) {
  // They mean something else in Perl.
  for (const std::string_view other : {"\\v", "\\C", "\\Q", "\\E", "(?U", "(?P"}) {
    if (source.find(other) != std::string_view::npos) return std::nullopt;
  }
  if (source.empty() || !RE2(to_piece(source), quiet()).ok()) return std::nullopt;
  return Regex(source);
}

bool Regex::matches(std::string_view text) const { return RE2::PartialMatch(to_piece(text), RE2(source_, quiet())); }

}  // namespace replygate::import

#include <algorithm>

#include "milter/import/access/lookup.h"
#include "milter/import/pattern.h"
#include "policy/mail/text.h"

namespace replygate::import::access {
namespace {

// A client is looked up by its name and then by its address, which no pattern of ours matches. An expression that wants
// a letter beyond hexadecimal digits, come what may, matches no address.
bool needs_letter(std::string_view source) {
  int depth = 0;
  bool found = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    if (c == '|') return false;
    if (c == '\\') {
      ++i;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == '[') {
      i = std::min(source.find(']', i + 1), source.size());
    } else if (depth == 0 && lower(c) >= 'g' && lower(c) <= 'z') {
      const char next = i + 1 < source.size() ? source[i + 1] : ' ';
      found |= next != '?' && next != '*' && next != '{';
    }
  }
  return found;
}

bool has_letters(std::string_view source) { return std::ranges::any_of(source, is_alpha); }

}  // namespace

Found found_pattern(const Entry& entry, const AccessSettings& settings) {
  Found found;
  found.entry = &entry;
  found.negated = entry.negated;
  found.why = entry.why;
  found.fact = settings.as == "client" ? "client_name" : settings.as == "sasl" ? "user" : settings.as;
  if (!found.why.empty()) return found;
  const bool other_case = entry.flags == "i";  // it switches what is on already
  const bool words = entry.key.find("\\<") != std::string::npos || entry.key.find("\\>") != std::string::npos;
  const auto regex = words ? std::nullopt : Regex::parse(entry.key);
  if (!entry.flags.empty() && (!other_case || has_letters(entry.key))) {
    found.why = "replygate's expressions have no such flags, and never tell letters by their case";
  } else if (!regex) {
    found.why = "it is no regular expression of RE2";
  } else if (entry.action.find('$') != std::string::npos) {
    found.why = "its text has parts of the match";
  } else if (settings.as == "client" && (entry.negated || !needs_letter(entry.key))) {
    found.why = "it may match addresses, too, which are no texts here";
  } else {
    found.patterns = {regex->pattern()};
    if (settings.as == "sender") {
      const bool null = regex->matches("<>");
      if (null && !regex->matches("")) found.patterns.emplace_back();
      if (!null && regex->matches("")) found.why = "it matches every sender but the null sender";
    }
  }
  return found;
}

}  // namespace replygate::import::access

#include "milter/lookup/table_query.h"

#include <algorithm>
#include <vector>

#include "policy/mail/text.h"

namespace replygate {
namespace {

using Part = std::optional<std::string_view>;

Part local_of(std::string_view text) {
  const std::size_t at = text.rfind('@');
  const std::string_view local = at == std::string_view::npos ? text : text.substr(0, at);
  return local.empty() ? Part() : Part(local);
}

Part domain_of(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at + 1 == text.size()) return std::nullopt;
  return text.substr(at + 1);
}

// The label of the domain, or of a key that is a domain, counted from its end; 1 is the last one.
Part label_of(std::string_view key, std::size_t number) {
  const std::size_t at = key.rfind('@');
  const auto labels = split(at == std::string_view::npos ? key : key.substr(at + 1), '.');
  return number > labels.size() ? Part() : Part(labels[labels.size() - number]);
}

// `letter` of the format, of a value and of a key.
Part part_for(char letter, std::string_view value, std::string_view key) {
  switch (letter) {
    case 's': return value;
    case 'u': return local_of(value);
    case 'd': return domain_of(value);
    case 'S': return key;
    case 'U': return local_of(key);
    case 'D': return domain_of(key);
    default: return letter >= '1' && letter <= '9' ? label_of(key, static_cast<std::size_t>(letter - '0')) : Part();
  }
}

std::optional<std::string> expand(std::string_view format, std::string_view value, std::string_view key,
                                  const QuoteText& quote) {
  std::string text;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
    } else if (++i < format.size() && format[i] == '%') {
      text += '%';
    } else {
      const Part part = i < format.size() ? part_for(format[i], value, key) : Part();
      if (!part) return std::nullopt;
      text += quote(*part);
    }
  }
  return text;
}

}  // namespace

std::optional<std::string> expand_query(std::string_view format, std::string_view key, const QuoteText& quote) {
  return expand(format, key, key, quote);
}

std::optional<std::string> expand_result(std::string_view format, std::string_view value, std::string_view key) {
  if (value.empty()) return std::nullopt;
  return expand(format, value, key, [](std::string_view part) { return std::string(part); });
}

bool is_in_domains(std::string_view domains, std::string_view key) {
  if (trim(domains).empty()) return true;
  const Part domain = domain_of(key);
  std::string all(domains);
  std::ranges::replace_if(all, [](char c) { return c == ',' || c == '\t'; }, ' ');
  const auto names = split(all, ' ');
  return domain &&
         std::ranges::any_of(names, [&](std::string_view name) { return equal_ignoring_case(name, *domain); });
}

}  // namespace replygate

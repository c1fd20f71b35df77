#pragma once

#include <boost/locale/utf.hpp>
#include <optional>
#include <string_view>

namespace replygate {

// Hands on each character of a UTF-8 text, as its octets and its number; an octet that belongs to none has no number.
template <typename Take>
void each_character(std::string_view text, Take take) {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const char* const begin = at;
    const auto point = boost::locale::utf::utf_traits<char>::decode(at, end);
    const bool is_character = boost::locale::utf::is_valid_codepoint(point);
    if (!is_character) at = begin + 1;
    take(std::string_view(begin, at), is_character ? std::optional<char32_t>(point) : std::nullopt);
  }
}

}  // namespace replygate

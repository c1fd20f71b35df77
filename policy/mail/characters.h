#pragma once

#include <boost/locale/utf.hpp>
#include <optional>
#include <string_view>

namespace replygate {

// A character of a UTF-8 text; an octet that belongs to none has no number.
struct Character {
  std::string_view octets;
  std::optional<char32_t> number;
};

// The first one of a text that is not empty, from which it is taken.
inline Character take_character(std::string_view& text) {
  const char* const begin = text.data();
  const char* at = begin;
  const auto point = boost::locale::utf::utf_traits<char>::decode(at, begin + text.size());
  const bool is_character = boost::locale::utf::is_valid_codepoint(point);
  const std::string_view octets = text.substr(0, is_character ? static_cast<std::size_t>(at - begin) : 1);
  text.remove_prefix(octets.size());
  return {octets, is_character ? std::optional<char32_t>(point) : std::nullopt};
}

}  // namespace replygate

#include <algorithm>
#include <cstddef>

#include "policy/mail/text.h"
#include "policy/mail/unicode.h"
#include "policy/remote/status_book.h"

namespace replygate {
namespace {

constexpr OctetSet kAddressEnd(" \t<>()[],;:\"'|");
constexpr std::size_t kLongestPart = 255;

constexpr std::size_t kShortestName = 10;   // of a message or a session, made by a machine
constexpr std::size_t kShortestNumber = 6;  // that is no code and no size in MB

bool may_be_in_name(char c) { return is_digit(c) || is_alpha(c); }

// Letters and digits in turn, "4xq0f52yhqz9rhn", are a name that says nothing; so is a long number. Without them lines
// that say the same are the same.
void mask_name(std::string& text, std::size_t begin, std::size_t end) {
  const auto digits = static_cast<std::size_t>(std::count_if(
      text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end), is_digit));
  const std::size_t size = end - begin;
  const bool number = digits == size && size >= kShortestNumber;
  const bool name = size >= kShortestName && digits >= 2 && digits < size;
  if (number || name) std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(begin), size, number ? '0' : '~');
}

// Where a dotted quad ends that begins here, else `begin`.
std::size_t end_of_quad(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  for (int part = 0; part < 4; ++part) {
    const std::size_t from = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == from || at - from > 3) return begin;
    if (part < 3 && (at == text.size() || text[at++] != '.')) return begin;
  }
  return at;
}

void mask_names(std::string& text) {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (!may_be_in_name(text[begin])) continue;
    std::size_t end = end_of_quad(text, begin);
    std::replace_if(text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(end),
                    is_digit, '0');
    if (end == begin) {
      while (end < text.size() && may_be_in_name(text[end])) ++end;
      mask_name(text, begin, end);
    }
    begin = end;
  }
}

bool may_be_in_domain(char c) { return is_digit(c) || is_alpha(c) || c == '.' || c == '-' || c == '*' || !is_ascii(c); }

}  // namespace

std::string masked(std::string_view text) {
  std::string result = lower_in_place(text);
  std::size_t done = 0;
  for (std::size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', done)) {
    std::size_t begin = at;
    while (begin > done && at - begin < kLongestPart && !kAddressEnd.has(text[begin - 1])) --begin;
    std::size_t end = at + 1;
    while (end < text.size() && end - at < kLongestPart && may_be_in_domain(text[end])) ++end;
    for (std::size_t i = begin; i < end; ++i) result[i] = '@';
    done = end;
  }
  mask_names(result);
  return result;
}

}  // namespace replygate

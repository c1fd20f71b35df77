#include "policy/mail/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <limits>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr UChar32 kFirstBeyondAscii = 0x80;
// No form of NFC is longer than three times its source in UTF-16 (UAX #15, table 14).
constexpr std::size_t kMostGrowth = 3;

std::optional<std::u16string> to_utf16(std::string_view text) {
  if (text.size() > std::numeric_limits<std::int32_t>::max() / kMostGrowth) return std::nullopt;
  std::u16string result(text.size(), u'\0');
  UErrorCode status = U_ZERO_ERROR;
  std::int32_t length = 0;
  u_strFromUTF8(result.data(), static_cast<std::int32_t>(result.size()), &length, text.data(),
                static_cast<std::int32_t>(text.size()), &status);
  if (U_FAILURE(status)) return std::nullopt;
  result.resize(static_cast<std::size_t>(length));
  return result;
}

std::optional<std::string> to_utf8(std::u16string_view text) {
  std::string result(text.size() * 3, '\0');
  UErrorCode status = U_ZERO_ERROR;
  std::int32_t length = 0;
  u_strToUTF8(result.data(), static_cast<std::int32_t>(result.size()), &length, text.data(),
              static_cast<std::int32_t>(text.size()), &status);
  if (U_FAILURE(status)) return std::nullopt;
  result.resize(static_cast<std::size_t>(length));
  return result;
}

// Calls `each` with every code point, and where it begins.
template <typename Each>
void each_point(std::u16string_view text, Each each) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool pair = U16_IS_LEAD(text[at]) && at + 1 < text.size();
    const UChar32 point = pair ? U16_GET_SUPPLEMENTARY(text[at], text[at + 1]) : text[at];
    at += pair ? 2 : 1;
    each(point, begin, at);
  }
}

// More marks on a letter than any language has (UAX #15, Stream-Safe Text Format). To put them in their order takes the
// square of their number, for which whoever sends them would have all others wait.
bool has_too_many_marks(std::u16string_view text) {
  constexpr int kMostMarks = 30;
  int marks = 0;
  bool found = false;
  each_point(text, [&](UChar32 point, std::size_t, std::size_t) {
    const bool mark = u_getIntPropertyValue(point, UCHAR_LEAD_CANONICAL_COMBINING_CLASS) != 0;
    marks = mark ? marks + 1 : 0;
    found |= marks > kMostMarks;
  });
  return found;
}

// Such a text stays as it is.
std::optional<std::u16string> to_nfc(std::u16string_view text) {
  if (has_too_many_marks(text)) return std::u16string(text);
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* nfc = unorm2_getNFCInstance(&status);
  if (U_FAILURE(status)) return std::nullopt;
  std::u16string result(text.size() * kMostGrowth, u'\0');
  const std::int32_t length = unorm2_normalize(nfc, text.data(), static_cast<std::int32_t>(text.size()), result.data(),
                                               static_cast<std::int32_t>(result.size()), &status);
  if (U_FAILURE(status)) return std::nullopt;
  result.resize(static_cast<std::size_t>(length));
  return result;
}

// A code point in UTF-16: one unit or two.
std::u16string units_of(UChar32 point) {
  if (U_IS_BMP(point)) return {static_cast<char16_t>(point)};
  return {U16_LEAD(point), U16_TRAIL(point)};
}

// A sign whose canonical form is a letter of ASCII, or another sign of it.
bool is_disguise(UChar32 point) {
  if (point < kFirstBeyondAscii) return false;
  const auto nfc = to_nfc(units_of(point));
  return nfc && std::ranges::any_of(*nfc, [](char16_t c) { return c < kFirstBeyondAscii; });
}

UChar32 lower_point(UChar32 point) {
  const UChar32 lowered = u_tolower(point);
  return point >= kFirstBeyondAscii && lowered < kFirstBeyondAscii ? point : lowered;
}

std::u16string lower_points(std::u16string_view text) {
  std::u16string result;
  each_point(text, [&](UChar32 point, std::size_t, std::size_t) { result += units_of(lower_point(point)); });
  return result;
}

std::optional<std::u16string> folded_stretch(std::u16string_view text) {
  const auto composed = to_nfc(text);
  return composed ? to_nfc(lower_points(*composed)) : std::nullopt;
}

// Disguises stay as they are; what is between them is brought to a form by `stretch_of`.
template <typename Form>
std::optional<std::u16string> formed(std::u16string_view text, Form stretch_of) {
  std::optional<std::u16string> result(std::in_place);
  std::size_t done = 0;
  const auto add = [&](std::size_t end) {
    const auto stretch = stretch_of(text.substr(done, end - done));
    if (stretch && result) {
      *result += *stretch;
    } else {
      result.reset();
    }
  };
  each_point(text, [&](UChar32 point, std::size_t begin, std::size_t end) {
    if (!is_disguise(point)) return;
    add(begin);
    if (result) *result += text.substr(begin, end - begin);
    done = end;
  });
  add(text.size());
  return result;
}

}  // namespace

std::optional<std::string> folded_utf8(std::string_view text) {
  if (is_ascii_text(text)) return to_lower(text);
  const auto wide = to_utf16(text);
  const auto folded = wide ? formed(*wide, folded_stretch) : std::nullopt;
  return folded ? to_utf8(*folded) : std::nullopt;
}

bool is_utf8(std::string_view text) { return is_ascii_text(text) || to_utf16(text).has_value(); }

std::string folded(std::string_view text) {
  auto result = folded_utf8(text);
  return result ? *std::move(result) : to_lower(text);
}

std::string composed(std::string_view text) {
  const auto wide = is_ascii_text(text) ? std::nullopt : to_utf16(text);
  const auto form = wide ? formed(*wide, to_nfc) : std::nullopt;
  auto result = form ? to_utf8(*form) : std::nullopt;
  return result ? *std::move(result) : std::string(text);
}

std::string_view whole_characters(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

// All letters that have two cases and matter here have two octets: Latin, Greek, Cyrillic, Armenian.
std::string lower_in_place(std::string_view text) {
  constexpr unsigned kContinuation = 0x80;
  constexpr unsigned kBits = 0x3f;
  std::string result = to_lower(text);
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(text[i + 1]);
    if (lead < 0xc2 || lead > 0xdf || (next & ~kBits) != kContinuation) continue;
    const auto point = static_cast<UChar32>(((lead & 0x1fU) << 6U) | (next & kBits));
    const auto lower = static_cast<unsigned>(u_tolower(point));
    if (lower < kContinuation || lower > 0x7ff) continue;
    result[i] = static_cast<char>(0xc0U | (lower >> 6U));
    result[++i] = static_cast<char>(kContinuation | (lower & kBits));
  }
  return result;
}

}  // namespace replygate

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace replygate {

// UTF-8 text under which spellings of one name are equal: NFC, every letter in lower case by its simple mapping
// (Unicode Standard §3.13, UAX #15). Nothing where the text is no UTF-8. ASCII never comes of anything else: U+212A
// KELVIN SIGN is no `k`, so that no look-alike becomes another name. Pure; any thread.
std::optional<std::string> folded_utf8(std::string_view text);

// The same; what is no UTF-8 is kept, with ASCII in lower case.
std::string folded(std::string_view text);

// The same text in NFC, its case as it is; what is no UTF-8 is kept.
std::string composed(std::string_view text);

bool is_utf8(std::string_view text);

// The beginning of a text, at most so many octets; of UTF-8 no part of a character.
std::string_view whole_characters(std::string_view text, std::size_t most);

// The same length, and each letter at its place: lower case where that has two octets as well; the rest is kept.
std::string lower_in_place(std::string_view text);

}  // namespace replygate

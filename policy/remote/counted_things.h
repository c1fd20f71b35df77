#pragma once

#include <cstddef>
#include <string_view>

// Numbers of three digits in prose. Pure; any thread.
namespace replygate {

// Blanks and ends of lines part words.
bool is_gap(char c);

// A word, cut where it is longer than any that is looked at.
struct WordPlace {
  std::size_t begin = 0;
  std::size_t end = 0;
};
WordPlace next_word(std::string_view text, std::size_t from);

// Whether the number that ends at `after` counts what follows ("550 rooms", "450 users are waiting"), or is that of a
// house ("550 Fifth Avenue"), and is no code of a reply.
bool counts_things(std::string_view text, std::size_t after);

}  // namespace replygate

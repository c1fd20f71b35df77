// Any octets are rows of the history: blocks, pages of its index, lines. What is found in them is what was looked for.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/log/history_press.h"
#include "milter/log/history_run.h"
#include "milter/log/history_words.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t length = size == 0 ? 0 : data[0] % 16;
  const std::string_view word = text.substr(size == 0 ? 0 : 1, length);
  const std::string_view rest = text.substr(std::min(size, 1 + length));

  if (lines_with(rest, word, 3).size() > 3) std::abort();
  static_cast<void>(lines_with(unpress(rest), word, 1000));

  std::vector<WordPlace> places;
  read_page(7, rest, places);
  std::vector<WordPlace> spare;
  sort_places(places, spare);
  for (std::size_t i = 1; i < places.size(); ++i) {
    if (hash_in(places[i - 1]) > hash_in(places[i])) std::abort();
  }
  std::vector<WordPlace> again;
  RunPages pages([&](std::uint32_t first, std::string_view page) {
    read_page(first, page, again);
    return true;
  });
  for (const WordPlace place : places) pages.add(place);
  pages.end();
  if (again != places) std::abort();

  static Press press;
  if (unpress(press.press(text)) != text) std::abort();
  std::vector<std::uint32_t> hashes;
  append_hashes(hashes, text, {});
  std::string words;
  append_word(words, text);
  return 0;
}

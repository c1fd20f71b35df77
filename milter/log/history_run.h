#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

// Sorted runs: which words, as hashes, are in which blocks of records. Cut into pages, each with the entries from one
// hash on. Pure, any thread.
namespace replygate {

// A hash in the upper half, the number of a block in the lower.
using WordPlace = std::uint64_t;
constexpr WordPlace word_place(std::uint32_t hash, std::uint32_t block) {
  return static_cast<WordPlace>(hash) << 32U | block;
}
constexpr std::uint32_t hash_in(WordPlace place) { return static_cast<std::uint32_t>(place >> 32U); }
constexpr std::uint32_t block_in(WordPlace place) { return static_cast<std::uint32_t>(place); }

// By hash; those of one hash stay in the order in which they are. Each but once where equal ones stand together.
// `spare` is room to work in.
void sort_places(std::vector<WordPlace>& places, std::vector<WordPlace>& spare);

// Cuts a sorted run into pages. All places of one hash are in one page.
class RunPages {
 public:
  // Takes a page and the hash that it begins with. False: no more are wanted.
  using Take = std::function<bool(std::uint32_t first, std::string_view page)>;
  explicit RunPages(Take take) : take_(std::move(take)) {}

  bool add(WordPlace place);
  bool end();  // of the run
  std::int64_t places() const { return places_; }

 private:
  Take take_;
  std::string page_;
  std::uint32_t first_ = 0;
  WordPlace last_ = 0;
  std::int64_t places_ = 0;
};

// Appends the places of a page, as far as it is one.
void read_page(std::uint32_t first, std::string_view page, std::vector<WordPlace>& places);

}  // namespace replygate

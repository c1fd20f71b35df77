#include "milter/log/history_run.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace replygate {
namespace {

// With its number and the header of its row it just fits into a page of SQLite's 4096 octets.
constexpr std::size_t kPageOctets = 4000;

void append_number(std::string& out, std::uint32_t number) {
  for (; number >= 0x80; number >>= 7U) out += static_cast<char>(number | 0x80U);
  out += static_cast<char>(number);
}

// Nothing where none begins or it does not end. Bits beyond the 32nd are lost.
std::optional<std::uint32_t> take_number(std::string_view& in) {
  std::uint32_t number = 0;
  for (unsigned shift = 0; shift < 32 && !in.empty(); shift += 7) {
    const auto octet = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    number |= (octet & 0x7fU) << shift;
    if (octet < 0x80) return number;
  }
  return std::nullopt;
}

// Counting sort by some bits, which keeps the order of equal ones.
void sort_by(unsigned shift, const std::vector<WordPlace>& from, std::vector<WordPlace>& to) {
  constexpr std::size_t kDigits = 1U << 11U;
  std::array<std::uint32_t, kDigits> at{};
  const auto digit = [shift](WordPlace place) { return place >> shift & (kDigits - 1); };
  for (const WordPlace place : from) ++at[digit(place)];
  std::uint32_t sum = 0;
  for (std::uint32_t& count : at) count = std::exchange(sum, sum + count);
  for (const WordPlace place : from) to[at[digit(place)]++] = place;
}

}  // namespace

void sort_places(std::vector<WordPlace>& places, std::vector<WordPlace>& spare) {
  spare.resize(places.size());
  sort_by(32, places, spare);
  sort_by(43, spare, places);
  sort_by(54, places, spare);
  places.swap(spare);
  places.erase(std::ranges::unique(places).begin(), places.end());
}

bool RunPages::add(WordPlace place) {
  bool same = hash_in(place) == hash_in(last_);
  if (page_.size() >= kPageOctets && !same && !end()) return false;
  if (page_.empty()) {
    first_ = hash_in(place);
    last_ = word_place(first_, 0);
    same = true;
  }
  append_number(page_, hash_in(place) - hash_in(last_));
  append_number(page_, block_in(place) - (same ? block_in(last_) : 0));
  last_ = place;
  ++places_;
  return true;
}

bool RunPages::end() {
  const bool taken = page_.empty() || take_(first_, page_);
  page_.clear();
  return taken;
}

void read_page(std::uint32_t first, std::string_view page, std::vector<WordPlace>& places) {
  WordPlace last = word_place(first, 0);
  while (!page.empty()) {
    const auto hash = take_number(page);
    const auto block = take_number(page);
    if (!hash || !block) return;
    const std::uint32_t base = *hash == 0 ? block_in(last) : 0;
    last = word_place(hash_in(last) + *hash, base + *block);
    places.push_back(last);
  }
}

}  // namespace replygate

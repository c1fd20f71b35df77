#include "policy/rules/packed_texts.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace replygate {
namespace {

constexpr std::size_t kFewestSlots = 2;
constexpr unsigned kLengthBits = 7;  // in an octet of a length; the eighth says that another one follows
constexpr unsigned kMore = 1U << kLengthBits;

std::size_t offset_of(std::uint64_t slot) { return slot & 0xffffffffU; }
std::uint32_t hash_in(std::uint64_t slot) { return static_cast<std::uint32_t>(slot >> 32U); }

}  // namespace

PackedTexts::Iterator& PackedTexts::Iterator::operator++() {
  const std::string_view text = **this;
  at_ = static_cast<std::size_t>(text.data() + text.size() - octets_->data());
  return *this;
}

PackedTexts::Iterator PackedTexts::Iterator::operator++(int) {
  const Iterator before = *this;
  ++*this;
  return before;
}

std::string_view PackedTexts::text_at(const std::string& octets, std::size_t at) {
  const char* next = octets.data() + at;
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += kLengthBits) {
    const auto octet = static_cast<unsigned char>(*next++);
    length |= std::size_t{octet & (kMore - 1)} << shift;
    if (octet < kMore) return {next, length};
  }
}

// Where the text is, or where it would be: the first empty slot from its home on. Some slot is always empty.
std::size_t PackedTexts::slot_of(std::string_view text, std::uint32_t hash) const {
  const std::uint64_t* slots = slots_.data();
  const std::size_t count = slots_.size();
  for (std::size_t at = home_of(hash);; at = at + 1 == count ? 0 : at + 1) {
    const std::uint64_t slot = slots[at];
    if (slot == 0 || (hash_in(slot) == hash && text_at(octets_, offset_of(slot)) == text)) return at;
  }
}

void PackedTexts::insert(std::string_view text) {
  if ((size_ + 1) * 3 > slots_.size() * 2) grow();
  const std::uint32_t hash = hash_of(text);
  std::uint64_t& slot = slots_[slot_of(text, hash)];
  if (slot != 0) return;
  if (octets_.empty()) octets_.push_back('\0');
  if (octets_.size() > std::numeric_limits<std::uint32_t>::max()) throw std::length_error("a list of more than 4 GiB");
  slot = std::uint64_t{hash} << 32U | octets_.size();
  append(text);
  ++size_;
}

void PackedTexts::append(std::string_view text) {
  std::size_t length = text.size();
  for (; length >= kMore; length >>= kLengthBits) octets_.push_back(static_cast<char>((length & (kMore - 1)) | kMore));
  octets_.push_back(static_cast<char>(length));
  octets_.append(text);
}

// Homes come from hashes, so that no text is looked at.
void PackedTexts::grow() {
  std::vector<std::uint64_t> before(std::max(kFewestSlots, slots_.size() * 2));
  before.swap(slots_);
  for (const std::uint64_t slot : before) {
    if (slot == 0) continue;
    std::size_t at = home_of(hash_in(slot));
    while (slots_[at] != 0) at = at + 1 == slots_.size() ? 0 : at + 1;
    slots_[at] = slot;
  }
}

}  // namespace replygate

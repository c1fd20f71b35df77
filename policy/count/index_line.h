#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace replygate {

// What one look into an index of keys gets out of memory: a line of the cache, all slots of which are compared at once.
struct alignas(64) IndexLine {
  using Slot = std::uint32_t;  // 0: free
  static constexpr std::size_t kSlots = 15;

  std::array<Slot, kSlots> slots{};
  std::uint32_t passed = 0;  // keys that found no free slot here and went on

  // Which slots are `value` in the bits of `mask`: bit i says so of slots[i].
  unsigned equal(Slot mask, Slot value) const;
  unsigned free() const { return equal(~Slot{0}, 0); }
};

static_assert(sizeof(IndexLine) == 64);

inline unsigned IndexLine::equal(Slot mask, Slot value) const {
  constexpr unsigned kAll = (1U << kSlots) - 1;
#ifdef __SSE2__
  const auto* line = reinterpret_cast<const __m128i*>(this);
  const __m128i masks = _mm_set1_epi32(static_cast<int>(mask));
  const __m128i values = _mm_set1_epi32(static_cast<int>(value));
  const auto four = [&](int i) { return _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(line + i), masks), values); };
  const __m128i low = _mm_packs_epi32(four(0), four(1));
  const __m128i high = _mm_packs_epi32(four(2), four(3));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(low, high))) & kAll;
#else
  unsigned bits = 0;
  for (std::size_t i = 0; i < kSlots; ++i) bits |= static_cast<unsigned>((slots[i] & mask) == value) << i;
  return bits & kAll;
#endif
}

}  // namespace replygate

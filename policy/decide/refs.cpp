#include "policy/decide/refs.h"

#include <array>

namespace replygate {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr unsigned kBitsEach = 5;
constexpr unsigned kBits = kBitsEach * References::kLength;
// An odd factor permutes the residues modulo 2^50, so the references do not repeat; the other one undoes it.
constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15ULL;
constexpr std::uint64_t kInverse = 0xF1DE83E19937733DULL;
static_assert(kFactor * kInverse == 1);

constexpr auto kDigits = [] {
  std::array<std::int8_t, 256> digits{};
  digits.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    const char capital = kAlphabet[i];
    const char small = capital >= 'A' ? static_cast<char>(capital - 'A' + 'a') : capital;
    for (const char c : {capital, small}) digits[static_cast<unsigned char>(c)] = static_cast<std::int8_t>(i);
  }
  return digits;
}();

}  // namespace

std::string References::next() {
  std::uint64_t value = next_.fetch_add(1, std::memory_order_relaxed) * kFactor;
  std::string text(kLength, '0');
  for (char& c : text) {
    c = kAlphabet[value >> (kBits - kBitsEach) & 31U];
    value <<= kBitsEach;
  }
  return text;
}

std::optional<std::uint64_t> References::number_of(std::string_view reference) {
  if (reference.size() != kLength) return std::nullopt;
  std::uint64_t value = 0;
  int wrong = 0;
  for (const char c : reference) {
    const int digit = kDigits[static_cast<unsigned char>(c)];
    wrong |= digit;
    value = value << kBitsEach | static_cast<std::uint64_t>(digit & 31);
  }
  if (wrong < 0) return std::nullopt;
  return value * kInverse & ((std::uint64_t{1} << kBits) - 1);
}

}  // namespace replygate

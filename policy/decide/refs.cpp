#include "policy/decide/refs.h"

namespace replygate {

std::string References::next() {
  static constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  // An odd factor permutes the residues modulo 2^50, so the references do not repeat.
  std::uint64_t value = next_.fetch_add(1, std::memory_order_relaxed) * 0x9E3779B97F4A7C15ULL;
  std::string text(10, '0');
  for (char& c : text) {
    c = kAlphabet[value >> 45 & 31U];
    value <<= 5;
  }
  return text;
}

}  // namespace replygate

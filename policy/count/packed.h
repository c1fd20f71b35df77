#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/base/time.h"

namespace replygate {

// Numbers in few octets: zigzag, seven bits an octet, the lowest first.
class PackedWriter {
 public:
  void number(std::int64_t value) {
    auto rest = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
    for (; rest >= 0x80; rest >>= 7) octets_ += static_cast<char>(rest | 0x80);
    octets_ += static_cast<char>(rest);
  }
  void instant(Instant at) { number(at.time_since_epoch().count()); }
  void duration(Duration span) { number(span.count()); }

  const std::string& octets() const { return octets_; }
  void clear() { octets_.clear(); }

 private:
  std::string octets_;
};

// Reads what a writer wrote. Once something is missing or makes no sense, all further numbers are 0 and good() is
// false.
class PackedReader {
 public:
  explicit PackedReader(std::string_view octets) : rest_(octets) {}

  std::int64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto octet = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
      if (octet < 0x80) return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
    fail();
    return 0;
  }
  std::int64_t number(std::int64_t least, std::int64_t most) {
    const std::int64_t value = number();
    if (value >= least && value <= most) return value;
    fail();
    return least;
  }
  // What lies ahead of `latest`, because a clock was set back, counts as of then.
  Instant instant(Instant latest) { return std::min(Instant(Duration(number(0, kMost))), latest); }
  Duration duration() { return Duration(number(1, kLongest)); }

  void fail() {
    good_ = false;
    rest_ = {};
  }
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

  static constexpr std::int64_t kMost = std::int64_t{1} << 60;
  static constexpr std::int64_t kLongest = std::int64_t{1} << 50;  // some 35 years in microseconds

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace replygate

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace replygate {

// Short references for decisions and sessions: 10 characters of Crockford's base 32, unique for 2^50 calls of one
// object, without an order that shows. Any thread.
class References {
 public:
  explicit References(std::uint64_t seed) : next_(seed) {}
  std::string next();

  static constexpr std::size_t kLength = 10;
  // Its number modulo 2^50, letters in either case: references made one after the other have neighbouring numbers.
  // Nothing for what no reference looks like.
  static std::optional<std::uint64_t> number_of(std::string_view reference);

 private:
  std::atomic<std::uint64_t> next_;
};

}  // namespace replygate

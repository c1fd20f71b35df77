#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace replygate {

// Short references for decisions and sessions: 10 characters of Crockford's base 32, unique for 2^50 calls of one
// object, without an order that shows. Any thread.
class References {
 public:
  explicit References(std::uint64_t seed) : next_(seed) {}
  std::string next();

 private:
  std::atomic<std::uint64_t> next_;
};

}  // namespace replygate

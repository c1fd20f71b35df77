#pragma once

#include <cstdint>
#include <optional>

#include "policy/time.h"

namespace replygate {

// A token bucket that is filled with `most` tokens a period: what was taken and has not come back yet. Whole tokens,
// so that nothing is lost or gained by rounding. A value without a lock; `now` should not run backwards; if it does,
// nothing is admitted too much.
class Bucket {
 public:
  struct Rate {
    std::int64_t most = 1;
    Duration period{};
  };

  std::int64_t used(Instant now, const Rate& rate) const;
  void add(std::int64_t cost, Instant now, const Rate& rate);
  // Returns what was taken at `taken`, less what has come back by itself since then.
  void give_back(std::int64_t cost, Instant taken, Instant now, const Rate& rate);
  // When `cost` fits in a bucket of `depth`; nothing where it never does.
  std::optional<Instant> room_at(std::int64_t cost, std::int64_t depth, Instant now, const Rate& rate) const;

 private:
  // Tokens that come back between two instants, not more than `most`.
  static std::int64_t refilled(Instant from, Instant to, const Rate& rate);
  void advance(Instant now, const Rate& rate);

  std::int64_t taken_ = 0;  // since anchor_, less what came back in whole periods
  Instant anchor_{};        // less than a period ago whenever the bucket is touched
};

}  // namespace replygate

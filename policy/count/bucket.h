#pragma once

#include <cstdint>
#include <optional>

#include "policy/base/time.h"
#include "policy/count/packed.h"

namespace replygate {

// A token bucket that is filled with `most` tokens a period: what was taken and has not come back yet. Whole tokens,
// so that nothing is lost or gained by rounding. What is reserved counts until it is given back. A value without a
// lock; `now` should not run backwards; if it does, nothing is admitted too much.
class Bucket {
 public:
  struct Rate {
    std::int64_t most = 1;
    Duration period{};
  };

  std::int64_t used(Instant now, const Rate& rate) const;  // reservations included
  void add(std::int64_t cost, Instant now, const Rate& rate);
  void reserve(std::int64_t cost) { reserved_ += cost; }
  void give_back(std::int64_t cost) { reserved_ -= cost; }
  // When `cost` fits in a bucket of `depth`, if all that is reserved is kept now; nothing where it never does.
  std::optional<Instant> room_at(std::int64_t cost, std::int64_t depth, Instant now, const Rate& rate) const;

  const Rate& rate() const { return rate_; }
  Instant idle_at() const;  // when all has come back, reservations aside

  // As for Window.
  void save(PackedWriter& out, Duration shift) const;
  void load(PackedReader& in, Instant now);

 private:
  // Tokens that come back between two instants, not more than `most`.
  static std::int64_t refilled(Instant from, Instant to, const Rate& rate);
  std::int64_t taken_at(Instant now, const Rate& rate) const;
  void advance(Instant now, const Rate& rate);

  std::int64_t taken_ = 0;  // since anchor_, less what came back in whole periods
  Instant anchor_{};        // less than a period ago whenever the bucket is touched
  std::int64_t reserved_ = 0;
  Rate rate_;  // of the last charge
};

}  // namespace replygate

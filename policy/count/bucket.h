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
  void reserve(std::int64_t cost) { set_reserved(reserved() + cost); }
  void give_back(std::int64_t cost) { set_reserved(reserved() - cost); }
  // When `cost` fits in a bucket of `depth`, if all that is reserved is kept now; nothing where it never does.
  std::optional<Instant> room_at(std::int64_t cost, std::int64_t depth, Instant now, const Rate& rate) const;

  Instant idle_at() const;  // when all has come back, reservations aside

  // As for Window.
  void save(PackedWriter& out, Duration shift) const;
  void load(PackedReader& in, Instant now);

 private:
  // Tokens that come back between two instants, not more than `most`.
  static std::int64_t refilled(Instant from, Instant to, const Rate& rate);
  struct Level {
    std::int64_t taken = 0;  // since the anchor, less what came back in whole periods
    Instant anchor{};        // less than a period ago whenever the bucket is touched
  };

  static Level advanced(Level level, Instant now, const Rate& rate);
  Level level() const { return {static_cast<std::int64_t>(bits_.taken), Instant(Duration(bits_.anchor))}; }
  void set_level(const Level& level);
  Rate rate() const;
  void set_rate(const Rate& rate);
  std::int64_t reserved() const { return static_cast<std::int64_t>(bits_.reserved); }
  void set_reserved(std::int64_t reserved);

  // Quantities of a policy are 10^15 at the most, which is less than 2^50: what is beyond counts as 2^50 - 1. Times are
  // good until the year 2540.
  struct [[gnu::packed]] Bits {
    std::uint64_t taken : 50 = 0;
    std::uint64_t reserved : 50 = 0;
    std::uint64_t most : 50 = 1;  // of the last charge, as is the period
    std::uint64_t period : 50 = 0;
    std::uint64_t anchor : 54 = 0;
  };

  Bits bits_;
};

static_assert(sizeof(Bucket) == 32);

}  // namespace replygate

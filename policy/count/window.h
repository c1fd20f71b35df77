#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "policy/base/time.h"
#include "policy/count/packed.h"

namespace replygate {

// The hundredths of a period in which charges are counted together, so that room comes back at the latest a hundredth
// of the period after it could.
namespace hundredth {
std::int64_t of(Instant at, Duration period);
// The first instant at which charges of that hundredth no longer count.
Instant expiry(std::int64_t index, Duration period);
// The same hundredth where clocks show `shift` more; never an earlier one.
std::int64_t shifted(std::int64_t index, Duration period, Duration shift);
}  // namespace hundredth

// How much was used of one key in a sliding window: a log of charges, so that in no interval of the period's length,
// wherever it begins, more is admitted than the limit. What is reserved counts until it is given back; what is
// kept of it is then added.
//
// A value without a lock. `now` should not run backwards; if it does, nothing is admitted too much.
class Window {
 public:
  std::int64_t used(Instant now, Duration period) const;  // reservations included
  void add(std::int64_t cost, Instant now, Duration period);
  void reserve(std::int64_t cost) { set_reserved(reserved() + cost); }
  void give_back(std::int64_t cost) { set_reserved(reserved() - cost); }

  // When `cost` will have room within `most`, if nothing else is charged and all that is reserved is kept now; nothing
  // where cost > most.
  std::optional<Instant> room_at(std::int64_t cost, std::int64_t most, Instant now, Duration period) const;

  Duration period() const { return period_; }
  Instant idle_at() const;  // from when on nothing is used, reservations aside

  // Without reservations, on clocks that show `shift` more.
  void save(PackedWriter& out, Duration shift) const;
  void load(PackedReader& in, Instant now);

 private:
  struct Slot {
    std::int64_t index = 0;
    std::int64_t count = 0;
  };

  template <typename Visit>
  void each(Visit visit) const;
  void drop_expired(Instant now, Duration period);

  // What most windows have not.
  struct More {
    std::vector<Slot> older;  // ascending by index
    std::int32_t count_high = 0;
    std::int32_t reserved_high = 0;
  };

  static std::int64_t joined(std::int32_t high, std::uint32_t low) { return (std::int64_t{high} << 32) | low; }
  Slot last() const { return {index_, joined(more_ ? more_->count_high : 0, count_)}; }
  void set_last(const Slot& slot);
  std::int64_t reserved() const { return joined(more_ ? more_->reserved_high : 0, reserved_); }
  void set_reserved(std::int64_t reserved);
  More& more();

  Duration period_{};       // of the last charge
  std::int64_t index_ = 0;  // of the newest slot
  std::unique_ptr<More> more_;
  std::uint32_t count_ = 0;     // of the newest slot, the low half; 0 with the high one: there is none
  std::uint32_t reserved_ = 0;  // the low half
};

static_assert(sizeof(Window) == 32);

}  // namespace replygate

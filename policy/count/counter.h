#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "policy/count/distinct.h"
#include "policy/count/store.h"
#include "policy/count/window.h"

namespace replygate {

// The state of one counter, whatever it measures: 48 octets where little happens. A value without a lock.
class Counter {
 public:
  // Of a charge that was reserved; what its settlement needs.
  struct Reserved {
    Measure measure;
    std::int64_t most = 0;
    std::int64_t cost = 0;
    DistinctWindow::Member member = 0;
  };

  Counter() = default;
  explicit Counter(const Measure& measure);

  // Whether it counts as the measure does. False: the identity of the counter stands for something else now.
  bool is(const Measure& measure) const { return state_.index() == measure.index() && has_period_of(measure); }

  // `member`: the hash of the member that a Distinct charge names. When there is room is told only if that is now.
  Reading read(const Charge& charge, DistinctWindow::Member member, Instant now) const;
  // When the charge fits, or would fit once more where it is counted already; as Reading::room_at.
  std::optional<Instant> room_at(const Charge& charge, DistinctWindow::Member member, Instant now) const;
  // Counts for good, or sees.
  void add(const Charge& charge, DistinctWindow::Member member, Instant now);
  Reserved reserve(const Charge& charge, DistinctWindow::Member member, Instant now);
  void give_back(const Reserved& reserved, Instant now);
  // What was given back counts after all.
  void keep(const Reserved& reserved, Instant now);
  // True once in a period of the charge.
  bool warn(const Measure& measure, Instant now);

  bool reserved() const { return reservations_ > 0; }
  bool idle(Instant now) const;
  // How much is lost if it is forgotten: nothing for a key that came once, most for one near its limit.
  unsigned worth() const { return (well_used() ? 256U : 0U) + visits_ * 16U + fullness_; }
  bool well_used() const { return fullness_ > 1; }  // by more than a tenth or so of its limit
  bool came_once() const { return visits_ <= 1 && !well_used(); }

  // As for Window. Nothing where the octets make no sense.
  void save(PackedWriter& out, Duration shift) const;
  static std::optional<Counter> load(std::string_view octets, Instant now);

  // For whoever keeps it: among those that have changed.
  bool listed() const { return listed_; }
  void list(bool listed) { listed_ = listed; }

 private:
  struct FixedCount {
    Instant until{};
    std::int64_t count = 0;
    std::int64_t reserved = 0;

    std::int64_t used() const { return count + reserved; }
  };

  bool has_period_of(const Measure& measure) const;
  void count(const Measure& measure, std::int64_t most, std::int64_t cost, DistinctWindow::Member member, Instant now);
  std::int64_t cost_of_member(const Charge& charge, DistinctWindow::Member member, Instant now) const;
  void visit(std::int64_t limit, std::int64_t used);

  // What follows lies in what the variant leaves free at its end.
  [[no_unique_address]] std::variant<Window, Bucket, FixedCount, DistinctWindow, Sighting> state_;
  std::uint8_t visits_ = 0;    // decisions that charged it, 15 at the most
  std::uint8_t fullness_ = 0;  // sixteenths of its limit at the last
  bool listed_ = false;
  std::uint32_t reservations_ = 0;  // not settled yet
  Instant warned_until_{};
};

static_assert(sizeof(Counter) <= 48);

}  // namespace replygate

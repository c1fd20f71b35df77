#include "policy/count/bucket.h"

#include <algorithm>

namespace replygate {
namespace {

__extension__ using Wide = __int128;

}  // namespace

std::int64_t Bucket::refilled(Instant from, Instant to, const Rate& rate) {
  const Duration passed = std::clamp(Duration(to - from), Duration(0), rate.period);
  return static_cast<std::int64_t>(Wide(rate.most) * passed.count() / rate.period.count());
}

// Whole periods give back whole quantities, so the anchor can move by them without a rest.
void Bucket::advance(Instant now, const Rate& rate) {
  const std::int64_t periods = now > anchor_ ? (now - anchor_) / rate.period : 0;
  if (periods > 0) {
    const Wide left = Wide(taken_) - Wide(rate.most) * periods;
    taken_ = left > 0 ? static_cast<std::int64_t>(left) : 0;
    anchor_ += rate.period * periods;
  }
  if (taken_ <= refilled(anchor_, now, rate)) {
    taken_ = 0;
    anchor_ = std::max(anchor_, now);
  }
}

std::int64_t Bucket::used(Instant now, const Rate& rate) const {
  Bucket later = *this;
  later.advance(now, rate);
  return std::max<std::int64_t>(later.taken_ - refilled(later.anchor_, now, rate), 0);
}

void Bucket::add(std::int64_t cost, Instant now, const Rate& rate) {
  advance(now, rate);
  taken_ += cost;
}

void Bucket::give_back(std::int64_t cost, Instant taken, Instant now, const Rate& rate) {
  advance(now, rate);
  taken_ = std::max<std::int64_t>(taken_ - std::max<std::int64_t>(cost - refilled(taken, now, rate), 0), 0);
}

std::optional<Instant> Bucket::room_at(std::int64_t cost, std::int64_t depth, Instant now, const Rate& rate) const {
  if (cost > depth || rate.most == 0) return std::nullopt;
  Bucket later = *this;
  later.advance(now, rate);
  const std::int64_t surplus = later.taken_ + cost - depth;  // that must have come back since the anchor
  if (surplus <= 0) return now;
  const Wide wait = (Wide(surplus) * rate.period.count() + rate.most - 1) / rate.most;
  return std::max(now, later.anchor_ + Duration(static_cast<std::int64_t>(wait)));
}

}  // namespace replygate

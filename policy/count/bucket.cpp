#include "policy/count/bucket.h"

#include <algorithm>

namespace replygate {
namespace {

__extension__ using Wide = __int128;

// How long `tokens` take to come back.
Duration time_for(std::int64_t tokens, const Bucket::Rate& rate) {
  const Wide wait = (Wide(tokens) * rate.period.count() + rate.most - 1) / rate.most;
  return Duration(static_cast<std::int64_t>(std::min<Wide>(wait, PackedReader::kMost)));
}

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

std::int64_t Bucket::taken_at(Instant now, const Rate& rate) const {
  Bucket later = *this;
  later.advance(now, rate);
  return std::max<std::int64_t>(later.taken_ - refilled(later.anchor_, now, rate), 0);
}

std::int64_t Bucket::used(Instant now, const Rate& rate) const { return taken_at(now, rate) + reserved_; }

void Bucket::add(std::int64_t cost, Instant now, const Rate& rate) {
  advance(now, rate);
  taken_ += cost;
  rate_ = rate;
}

std::optional<Instant> Bucket::room_at(std::int64_t cost, std::int64_t depth, Instant now, const Rate& rate) const {
  if (used(now, rate) + cost <= depth) return now;
  if (cost > depth || rate.most == 0) return std::nullopt;
  Bucket later = *this;
  later.advance(now, rate);
  const std::int64_t surplus = later.taken_ + reserved_ + cost - depth;  // that must have come back since the anchor
  return std::max(now, later.anchor_ + time_for(surplus, rate));
}

Instant Bucket::idle_at() const {
  if (taken_ == 0) return Instant{};
  return rate_.most == 0 ? Instant::max() : anchor_ + time_for(taken_, rate_);
}

void Bucket::save(PackedWriter& out, Duration shift) const {
  out.number(rate_.most);
  out.duration(rate_.period);
  out.instant(anchor_ + shift);
  out.number(taken_);
}

void Bucket::load(PackedReader& in, Instant now) {
  rate_.most = in.number(0, PackedReader::kMost);
  rate_.period = in.duration();
  anchor_ = in.instant(now);
  taken_ = in.number(0, PackedReader::kMost);
}

}  // namespace replygate

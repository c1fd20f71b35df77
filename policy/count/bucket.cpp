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

constexpr std::uint64_t kAll50 = (std::uint64_t{1} << 50) - 1;
constexpr std::uint64_t kAll54 = (std::uint64_t{1} << 54) - 1;

std::uint64_t within(std::int64_t value, std::uint64_t most) {
  return std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0)), most);
}

}  // namespace

std::int64_t Bucket::refilled(Instant from, Instant to, const Rate& rate) {
  const Duration passed = std::clamp(Duration(to - from), Duration(0), rate.period);
  return static_cast<std::int64_t>(Wide(rate.most) * passed.count() / rate.period.count());
}

// Whole periods give back whole quantities, so the anchor can move by them without a rest.
Bucket::Level Bucket::advanced(Level level, Instant now, const Rate& rate) {
  const std::int64_t periods = now > level.anchor ? (now - level.anchor) / rate.period : 0;
  if (periods > 0) {
    const Wide left = Wide(level.taken) - Wide(rate.most) * periods;
    level.taken = left > 0 ? static_cast<std::int64_t>(left) : 0;
    level.anchor += rate.period * periods;
  }
  if (level.taken <= refilled(level.anchor, now, rate)) return {0, std::max(level.anchor, now)};
  return level;
}

std::int64_t Bucket::used(Instant now, const Rate& rate) const {
  const Level l = advanced(level(), now, rate);
  return std::max<std::int64_t>(l.taken - refilled(l.anchor, now, rate), 0) + reserved();
}

void Bucket::add(std::int64_t cost, Instant now, const Rate& rate) {
  Level l = advanced(level(), now, rate);
  l.taken += cost;
  set_level(l);
  set_rate(rate);
}

std::optional<Instant> Bucket::room_at(std::int64_t cost, std::int64_t depth, Instant now, const Rate& rate) const {
  if (used(now, rate) + cost <= depth) return now;
  if (cost > depth || rate.most == 0) return std::nullopt;
  const Level l = advanced(level(), now, rate);
  const std::int64_t surplus = l.taken + reserved() + cost - depth;  // that must have come back since the anchor
  return std::max(now, l.anchor + time_for(surplus, rate));
}

Instant Bucket::idle_at() const {
  const Level l = level();
  if (l.taken == 0) return Instant{};
  return rate().most == 0 ? Instant::max() : l.anchor + time_for(l.taken, rate());
}

void Bucket::set_level(const Level& level) {
  bits_.taken = within(level.taken, kAll50) & kAll50;
  bits_.anchor = within(level.anchor.time_since_epoch().count(), kAll54) & kAll54;
}

Bucket::Rate Bucket::rate() const { return {static_cast<std::int64_t>(bits_.most), Duration(bits_.period)}; }

void Bucket::set_rate(const Rate& rate) {
  bits_.most = within(rate.most, kAll50) & kAll50;
  bits_.period = within(rate.period.count(), kAll50) & kAll50;
}

void Bucket::set_reserved(std::int64_t reserved) { bits_.reserved = within(reserved, kAll50) & kAll50; }

void Bucket::save(PackedWriter& out, Duration shift) const {
  const Level l = level();
  out.number(rate().most);
  out.duration(rate().period);
  out.instant(l.anchor + shift);
  out.number(l.taken);
}

void Bucket::load(PackedReader& in, Instant now) {
  const std::int64_t most = in.number(0, PackedReader::kMost);
  set_rate({.most = most, .period = in.duration()});
  const Instant anchor = in.instant(now);
  set_level({.taken = in.number(0, PackedReader::kMost), .anchor = anchor});
}

}  // namespace replygate

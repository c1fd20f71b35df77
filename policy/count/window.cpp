#include "policy/count/window.h"

#include <algorithm>

namespace replygate {
namespace {

constexpr std::int64_t kMostSlots = 1000;  // that a state may hold; there are no more than 102

std::int64_t width(Duration period) { return std::max<std::int64_t>(period.count() / 100, 1); }

}  // namespace

namespace hundredth {

std::int64_t of(Instant at, Duration period) { return at.time_since_epoch().count() / width(period); }

Instant expiry(std::int64_t index, Duration period) { return Instant(Duration((index + 1) * width(period))) + period; }

std::int64_t shifted(std::int64_t index, Duration period, Duration shift) {
  const std::int64_t wide = width(period);
  const std::int64_t begin = index * wide + shift.count();
  return begin / wide + (begin % wide > 0 ? 1 : 0);
}

}  // namespace hundredth

template <typename Visit>
void Window::each(Visit visit) const {
  if (more_) {
    for (const Slot& slot : more_->older) visit(slot);
  }
  if (const Slot newest = last(); newest.count > 0) visit(newest);
}

Window::More& Window::more() {
  if (!more_) more_ = std::make_unique<More>();
  return *more_;
}

void Window::set_last(const Slot& slot) {
  const auto high = static_cast<std::int32_t>(slot.count >> 32);
  if (more_ || high != 0) more().count_high = high;
  index_ = slot.index;
  count_ = static_cast<std::uint32_t>(slot.count);
}

void Window::set_reserved(std::int64_t reserved) {
  const auto high = static_cast<std::int32_t>(reserved >> 32);
  if (more_ || high != 0) more().reserved_high = high;
  reserved_ = static_cast<std::uint32_t>(reserved);
}

std::int64_t Window::used(Instant now, Duration period) const {
  std::int64_t sum = reserved();
  each([&](const Slot& slot) {
    if (hundredth::expiry(slot.index, period) > now) sum += slot.count;
  });
  return sum;
}

void Window::drop_expired(Instant now, Duration period) {
  const auto expired = [&](const Slot& slot) { return hundredth::expiry(slot.index, period) <= now; };
  if (more_) more_->older.erase(more_->older.begin(), std::ranges::find_if_not(more_->older, expired));
  if (expired(last())) set_last({});
  if (more_ && more_->older.empty() && more_->count_high == 0 && more_->reserved_high == 0) more_.reset();
}

void Window::add(std::int64_t cost, Instant now, Duration period) {
  if (cost == 0) return;
  drop_expired(now, period);
  period_ = period;
  const std::int64_t index = hundredth::of(now, period);
  const Slot newest = last();
  if (newest.count > 0 && newest.index >= index) return set_last({newest.index, newest.count + cost});
  if (newest.count > 0) more().older.push_back(newest);
  set_last({index, cost});
}

std::optional<Instant> Window::room_at(std::int64_t cost, std::int64_t most, Instant now, Duration period) const {
  std::int64_t in_use = used(now, period);
  if (in_use + cost <= most) return now;
  if (cost > most) return std::nullopt;
  std::optional<Instant> result;
  each([&](const Slot& slot) {
    const Instant gone = hundredth::expiry(slot.index, period);
    if (gone <= now || result) return;
    in_use -= slot.count;
    if (in_use + cost <= most) result = gone;
  });
  return result ? result : hundredth::expiry(hundredth::of(now, period), period);
}

Instant Window::idle_at() const { return last().count > 0 ? hundredth::expiry(index_, period_) : Instant{}; }

void Window::save(PackedWriter& out, Duration shift) const {
  out.duration(period_);
  out.number(static_cast<std::int64_t>(more_ ? more_->older.size() : 0) + (last().count > 0 ? 1 : 0));
  std::int64_t before = 0;  // what is near is written in few octets
  each([&](const Slot& slot) {
    const std::int64_t index = hundredth::shifted(slot.index, period_, shift);
    out.number(index - before);
    out.number(slot.count);
    before = index;
  });
}

void Window::load(PackedReader& in, Instant now) {
  const Duration period = in.duration();
  std::int64_t index = 0;
  for (std::int64_t left = in.number(0, kMostSlots); left > 0 && in.good(); --left) {
    index += in.number(0, PackedReader::kMost);
    const std::int64_t count = in.number(1, PackedReader::kMost);
    std::int64_t at = 0;
    if (__builtin_mul_overflow(index, width(period), &at) || at > PackedReader::kMost) in.fail();
    if (!in.good()) return;
    if (last().count > 0) {
      add(count, std::min(Instant(Duration(at)), now), period);
    } else {  // the only one, as a rule
      period_ = period;
      set_last({std::min(index, hundredth::of(now, period)), count});
    }
  }
}

}  // namespace replygate

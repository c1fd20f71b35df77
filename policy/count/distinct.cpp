#include "policy/count/distinct.h"

#include <algorithm>

namespace replygate {
namespace {

// As with windows, what comes in one hundredth of the period leaves together, never too early.
Instant expiry(Instant now, Duration period) {
  const std::int64_t width = std::max<std::int64_t>(period.count() / 100, 1);
  return Instant(Duration((now.time_since_epoch().count() / width + 1) * width)) + period;
}

}  // namespace

std::int64_t DistinctWindow::used(Instant now) const {
  return std::ranges::count_if(entries_, [&](const Entry& e) { return e.reserved > 0 || e.until > now; });
}

bool DistinctWindow::contains(Member member, Instant now) const {
  const auto it = std::ranges::find(entries_, member, &Entry::member);
  return it != entries_.end() && (it->reserved > 0 || it->until > now);
}

DistinctWindow::Entry& DistinctWindow::entry(Member member, Instant now) {
  std::erase_if(entries_, [&](const Entry& e) { return e.member != member && e.reserved == 0 && e.until <= now; });
  const auto it = std::ranges::find(entries_, member, &Entry::member);
  return it != entries_.end() ? *it : entries_.emplace_back(Entry{member, Instant{}, 0});
}

void DistinctWindow::add(Member member, Instant now, Duration period) {
  Entry& e = entry(member, now);
  e.until = std::max(e.until, expiry(now, period));
}

void DistinctWindow::reserve(Member member, Instant now) { ++entry(member, now).reserved; }

void DistinctWindow::keep(Member member, Instant now, Duration period) {
  give_back(member);
  add(member, now, period);
}

void DistinctWindow::give_back(Member member) {
  const auto it = std::ranges::find(entries_, member, &Entry::member);
  if (it != entries_.end() && it->reserved > 0) --it->reserved;
}

std::optional<Instant> DistinctWindow::room_at(std::int64_t most, Instant now) const {
  if (most < 1) return std::nullopt;
  const std::int64_t surplus = used(now) + 1 - most;
  if (surplus <= 0) return now;
  std::vector<Instant> leaving;
  for (const Entry& e : entries_) {
    if (e.reserved == 0 && e.until > now) leaving.push_back(e.until);
  }
  if (static_cast<std::int64_t>(leaving.size()) < surplus) return std::nullopt;
  const auto nth = leaving.begin() + (surplus - 1);
  std::ranges::nth_element(leaving, nth);
  return *nth;
}

}  // namespace replygate

#include "policy/count/distinct.h"

#include <algorithm>

#include "policy/count/window.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostMembers = 10'000'000;  // that a state may hold
constexpr std::size_t kFew = 32;

}  // namespace

bool DistinctWindow::counts(const Entry& e, Instant now) const {
  return e.reserved > 0 || (e.index >= 0 && hundredth::expiry(e.index, members_->period) > now);
}

std::int64_t DistinctWindow::used(Instant now) const {
  std::int64_t sum = members_->reserved;
  for (const Leaving& group : members_->leaving) {
    if (hundredth::expiry(group.index, members_->period) > now) sum += group.count;
  }
  return sum;
}

bool DistinctWindow::contains(Member member, Instant now) const {
  const auto it = members_->entries.find(member);
  return it != members_->entries.end() && counts(it->second, now);
}

// Members whose time is over are forgotten together, once they are many.
DistinctWindow::Entry& DistinctWindow::entry(Member member, Instant now) {
  Members& m = *members_;
  const auto expired = [&](const Leaving& g) { return hundredth::expiry(g.index, m.period) <= now; };
  m.leaving.erase(m.leaving.begin(), std::ranges::find_if_not(m.leaving, expired));
  if (m.entries.size() > kFew && m.entries.size() > 2 * static_cast<std::size_t>(used(now))) {
    erase_if(m.entries, [&](const auto& item) { return item.first != member && !counts(item.second, now); });
  }
  Entry& e = m.entries[member];
  if (!counts(e, now)) e = {};
  return e;
}

// Of a hundredth that is left already nothing is counted.
void DistinctWindow::count(std::int64_t index, std::int64_t change) {
  auto& leaving = members_->leaving;
  const auto at = std::ranges::lower_bound(leaving, index, {}, &Leaving::index);
  if (at != leaving.end() && at->index == index) {
    at->count += change;
    if (at->count == 0) leaving.erase(at);
  } else if (change > 0) {
    leaving.insert(at, {index, change});
  }
}

void DistinctWindow::add(Member member, Instant now, Duration period) {
  members_->period = period;
  Entry& e = entry(member, now);
  const std::int64_t index = std::max(e.index, hundredth::of(now, period));
  if (e.reserved == 0 && index != e.index) {
    if (e.index >= 0) count(e.index, -1);
    count(index, 1);
  }
  e.index = index;
}

void DistinctWindow::reserve(Member member, Instant now, Duration period) {
  members_->period = period;
  Entry& e = entry(member, now);
  if (e.reserved++ > 0) return;
  ++members_->reserved;
  if (e.index >= 0) count(e.index, -1);
}

void DistinctWindow::give_back(Member member, Instant now) {
  const auto it = members_->entries.find(member);
  if (it == members_->entries.end() || it->second.reserved == 0 || --it->second.reserved > 0) return;
  --members_->reserved;
  if (counts(it->second, now)) {
    count(it->second.index, 1);
  } else {
    members_->entries.erase(it);
  }
}

std::optional<Instant> DistinctWindow::room_at(std::int64_t most, Instant now) const {
  if (most < 1) return std::nullopt;
  std::int64_t surplus = used(now) + 1 - most;
  if (surplus <= 0) return now;
  for (const Leaving& group : members_->leaving) {
    const Instant gone = hundredth::expiry(group.index, members_->period);
    if (gone <= now) continue;
    surplus -= group.count;
    if (surplus <= 0) return gone;
  }
  return std::nullopt;
}

Instant DistinctWindow::idle_at() const {
  const auto& leaving = members_->leaving;
  return leaving.empty() ? Instant{} : hundredth::expiry(leaving.back().index, members_->period);
}

void DistinctWindow::save(PackedWriter& out, Duration shift) const {
  const Members& m = *members_;
  out.duration(m.period);
  out.number(std::ranges::count_if(m.entries, [](const auto& item) { return item.second.index >= 0; }));
  for (const auto& [member, e] : m.entries) {
    if (e.index < 0) continue;
    out.number(static_cast<std::int64_t>(member));
    out.number(hundredth::shifted(e.index, m.period, shift));
  }
}

void DistinctWindow::load(PackedReader& in, Instant now) {
  const Duration period = in.duration();
  for (std::int64_t left = in.number(0, kMostMembers); left > 0 && in.good(); --left) {
    const auto member = static_cast<Member>(in.number());
    const std::int64_t index = in.number(0, PackedReader::kMost);
    if (!in.good()) return;
    members_->period = period;
    Entry& e = entry(member, now);
    if (e.index >= 0) in.fail();  // a member stands there once
    e.index = std::min(index, hundredth::of(now, period));
    count(e.index, 1);
  }
}

}  // namespace replygate

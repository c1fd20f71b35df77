#include "policy/count/distinct.h"

#include <algorithm>

#include "policy/count/window.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostMembers = 10'000'000;  // that a state may hold
constexpr std::size_t kFew = 32;

}  // namespace

bool DistinctWindow::lasts(const Entry& e, Instant now) const {
  return e.index >= members_->floor && hundredth::expiry(e.index, members_->period) > now;
}

std::int64_t DistinctWindow::used(Instant now) const {
  std::int64_t sum = members_->reserved;
  for (const Group& group : members_->groups) {
    if (hundredth::expiry(group.index, members_->period) > now) sum += group.free;
  }
  return sum;
}

bool DistinctWindow::contains(Member member, Instant now) const {
  const auto it = members_->entries.find(member);
  return it != members_->entries.end() && counts(it->second, now);
}

void DistinctWindow::forget_expired(Instant now) {
  Members& m = *members_;
  const auto expired = [&](const Group& g) { return hundredth::expiry(g.index, m.period) <= now; };
  m.groups.erase(m.groups.begin(), std::ranges::find_if_not(m.groups, expired));
}

// As long as newer ones alone exceed the limit, older ones have no say in when there is room again.
void DistinctWindow::forget_older(std::int64_t most) {
  Members& m = *members_;
  std::int64_t all = 0;
  for (const Group& group : m.groups) all += group.all;
  auto first = m.groups.begin();
  for (; first != m.groups.end() && all - first->all > most; ++first) {
    all -= first->all;
    m.floor = first->index + 1;
  }
  m.groups.erase(m.groups.begin(), first);
}

// Members whose time is over are forgotten together, once they are many.
DistinctWindow::Entry& DistinctWindow::entry(Member member, Instant now) {
  Members& m = *members_;
  forget_expired(now);
  if (m.entries.size() > kFew && m.entries.size() > 2 * static_cast<std::size_t>(used(now))) {
    erase_if(m.entries, [&](const auto& item) { return item.first != member && !counts(item.second, now); });
  }
  Entry& e = m.entries[member];
  if (!lasts(e, now)) e.index = -1;
  return e;
}

std::int64_t DistinctWindow::size_of(std::int64_t index) const {
  const auto at = std::ranges::lower_bound(members_->groups, index, {}, &Group::index);
  return at != members_->groups.end() && at->index == index ? at->all : 0;
}

// Of a hundredth that is left already nothing is counted.
void DistinctWindow::count(std::int64_t index, std::int64_t all, std::int64_t free) {
  auto& groups = members_->groups;
  auto at = std::ranges::lower_bound(groups, index, {}, &Group::index);
  const bool there = at != groups.end() && at->index == index;
  if (!there && all <= 0) return;
  if (!there) at = groups.insert(at, {.index = index});
  at->all += all;
  at->free += free;
  if (at->all == 0) groups.erase(at);
}

void DistinctWindow::add(Member member, std::int64_t most, Instant now, Duration period) {
  Members& m = *members_;
  m.period = period;
  const std::int64_t present = std::max(hundredth::of(now, period), m.floor);
  forget_expired(now);
  if (size_of(present) > most) return;
  if (m.groups.size() == m.groups.capacity()) m.groups.reserve(2 * m.groups.size() + 1);  // so that count() never fails
  Entry& e = entry(member, now);
  const std::int64_t index = std::max(e.index, present);
  if (index == e.index) return;
  const std::int64_t free = e.reserved == 0 ? 1 : 0;
  if (e.index >= 0) count(e.index, -1, -free);
  count(index, 1, free);
  e.index = index;
  forget_older(most);
}

void DistinctWindow::reserve(Member member, Instant now, Duration period) {
  members_->period = period;
  Entry& e = entry(member, now);
  if (e.reserved++ > 0) return;
  ++members_->reserved;
  if (e.index >= 0) count(e.index, 0, -1);
}

void DistinctWindow::give_back(Member member, Instant now) {
  const auto it = members_->entries.find(member);
  if (it == members_->entries.end() || it->second.reserved == 0 || --it->second.reserved > 0) return;
  --members_->reserved;
  if (lasts(it->second, now)) {
    count(it->second.index, 0, 1);
  } else {
    members_->entries.erase(it);
  }
}

// That the member itself leaves makes no room for it. Of no members at all it can never be one.
std::optional<Instant> DistinctWindow::room_at(Member member, std::int64_t cost, std::int64_t most, Instant now) const {
  if (cost > most || most < 0) return std::nullopt;
  std::int64_t surplus = used(now) + cost - most;
  if (surplus <= 0) return now;
  const auto own = members_->entries.find(member);
  const bool free = own != members_->entries.end() && own->second.reserved == 0;
  for (const Group& group : members_->groups) {
    const Instant gone = hundredth::expiry(group.index, members_->period);
    if (gone <= now) continue;
    surplus -= group.free - (free && own->second.index == group.index ? 1 : 0);
    if (surplus <= 0) return gone;
  }
  return hundredth::expiry(hundredth::of(now, members_->period), members_->period);
}

Instant DistinctWindow::idle_at() const {
  const auto& groups = members_->groups;
  return groups.empty() ? Instant{} : hundredth::expiry(groups.back().index, members_->period);
}

void DistinctWindow::save(PackedWriter& out, Duration shift) const {
  const Members& m = *members_;
  const auto kept = [&](const auto& item) { return item.second.index >= m.floor; };
  out.duration(m.period);
  out.number(std::ranges::count_if(m.entries, kept));
  for (const auto& item : m.entries) {
    if (!kept(item)) continue;
    out.number(static_cast<std::int64_t>(item.first));
    out.number(hundredth::shifted(item.second.index, m.period, shift));
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
    count(e.index, 1, 1);
  }
}

}  // namespace replygate

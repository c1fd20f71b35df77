#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "policy/base/time.h"
#include "policy/count/packed.h"

namespace replygate {

// How many different members one key has had in a sliding window. A member that comes again costs nothing and stays for
// another period. Members are known by their hashes. A value without a lock; times as for Window.
//
// Of members beyond a limit only the newest are kept: as many as tell when there is room again, which is the limit and
// one more, and those that came in the same hundredth of the period. `used` is exact up to the limit, and above it
// beyond the limit.
class DistinctWindow {
 public:
  using Member = std::uint64_t;

  DistinctWindow() : members_(std::make_unique<Members>()) {}

  std::int64_t used(Instant now) const;  // reservations included
  bool contains(Member member, Instant now) const;
  // `most`: the limit.
  void add(Member member, std::int64_t most, Instant now, Duration period);
  void reserve(Member member, Instant now, Duration period);
  void give_back(Member member, Instant now);
  // When the member fits within `most` at that cost (0: it is there, or is not to be added), if all that is reserved is
  // kept now; nothing where that never is.
  std::optional<Instant> room_at(Member member, std::int64_t cost, std::int64_t most, Instant now) const;

  Duration period() const { return members_->period; }
  Instant idle_at() const;
  std::size_t kept() const { return members_->entries.size(); }  // members in memory

  // As for Window.
  void save(PackedWriter& out, Duration shift) const;
  void load(PackedReader& in, Instant now);

 private:
  struct Entry {
    std::int64_t index = -1;  // hundredth of the period in which it was last seen; -1: it was only reserved
    std::uint32_t reserved = 0;
  };
  struct Group {  // members that were last seen in one hundredth of the period
    std::int64_t index = 0;
    std::int64_t all = 0;
    std::int64_t free = 0;  // that are not reserved
  };
  struct Members {
    Duration period{};  // of the last charge
    boost::unordered_flat_map<Member, Entry> entries;
    std::vector<Group> groups;  // ascending by index
    std::int64_t floor = 0;     // members that were last seen before this hundredth are forgotten
    std::int64_t reserved = 0;  // members that have reservations
  };

  bool lasts(const Entry& entry, Instant now) const;
  bool counts(const Entry& entry, Instant now) const { return entry.reserved > 0 || lasts(entry, now); }
  void forget_expired(Instant now);
  void forget_older(std::int64_t most);
  Entry& entry(Member member, Instant now);
  std::int64_t size_of(std::int64_t index) const;
  void count(std::int64_t index, std::int64_t all, std::int64_t free);

  std::unique_ptr<Members> members_;
};

}  // namespace replygate

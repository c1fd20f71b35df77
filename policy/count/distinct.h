#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "policy/count/packed.h"
#include "policy/time.h"

namespace replygate {

// How many different members one key has had in a sliding window. A member that comes again costs nothing and stays for
// another period. Members are known by their hashes. A value without a lock; times as for Window.
class DistinctWindow {
 public:
  using Member = std::uint64_t;

  DistinctWindow() : members_(std::make_unique<Members>()) {}

  std::int64_t used(Instant now) const;  // reservations included
  bool contains(Member member, Instant now) const;
  void add(Member member, Instant now, Duration period);
  void reserve(Member member, Instant now, Duration period);
  void give_back(Member member, Instant now);
  // When one more fits within `most`; nothing where that can't be told.
  std::optional<Instant> room_at(std::int64_t most, Instant now) const;

  Duration period() const { return members_->period; }
  Instant idle_at() const;

  // As for Window.
  void save(PackedWriter& out, Duration shift) const;
  void load(PackedReader& in, Instant now);

 private:
  struct Entry {
    std::int64_t index = -1;  // hundredth of the period in which it was last seen; -1: it was only reserved
    std::uint32_t reserved = 0;
  };
  struct Leaving {  // members that are not reserved, by the hundredth of the period
    std::int64_t index;
    std::int64_t count;
  };
  struct Members {
    Duration period{};  // of the last charge
    boost::unordered_flat_map<Member, Entry> entries;
    std::vector<Leaving> leaving;  // ascending by index
    std::int64_t reserved = 0;     // members that have reservations
  };

  bool counts(const Entry& entry, Instant now) const;
  Entry& entry(Member member, Instant now);
  void count(std::int64_t index, std::int64_t change);

  std::unique_ptr<Members> members_;
};

}  // namespace replygate

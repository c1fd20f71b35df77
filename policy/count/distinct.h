#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/time.h"

namespace replygate {

// How many different members one key has had in a sliding window. A member that comes again costs nothing and stays for
// another period. Members are known by their hashes. A value without a lock; times as for Window.
class DistinctWindow {
 public:
  using Member = std::uint64_t;

  std::int64_t used(Instant now) const;  // reservations included
  bool contains(Member member, Instant now) const;
  void add(Member member, Instant now, Duration period);
  void reserve(Member member, Instant now);
  void keep(Member member, Instant now, Duration period);
  void give_back(Member member);
  // When one more fits within `most`; nothing where that can't be told.
  std::optional<Instant> room_at(std::int64_t most, Instant now) const;

 private:
  struct Entry {
    Member member;
    Instant until;  // counts before; the epoch if it was only reserved
    std::uint32_t reserved;
  };

  Entry& entry(Member member, Instant now);

  std::vector<Entry> entries_;
};

}  // namespace replygate

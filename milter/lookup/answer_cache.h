#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "policy/rules/answers.h"
#include "policy/rules/match.h"

namespace replygate {

// What a live source has said, for as long as it holds. Bounded: where there is no room the answers that were asked for
// longest ago go. Any thread.
class AnswerCache {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `most`: answers that are kept, roughly.
  explicit AnswerCache(std::size_t most) : most_in_part_(most / (2 * kParts) + 1) {}

  std::optional<LiveAnswer> find(std::string_view key, Time now);
  void put(std::string_view key, const LiveAnswer& answer, Time until);
  std::size_t size() const;

 private:
  static constexpr std::size_t kParts = 16;

  struct Held {
    LiveAnswer answer;
    Time until;
  };
  using Table = boost::unordered_flat_map<std::string, Held, TextHash, std::equal_to<>>;

  // What was used lately, and what was before that; the latter goes as a whole.
  struct Part {
    mutable std::mutex mutex;
    Table young;
    Table old;
  };

  Part& part_of(std::string_view key) { return parts_[TextHash()(key) % kParts]; }
  void put_young(Part& part, std::string_view key, Held held) const;

  const std::size_t most_in_part_;
  std::array<Part, kParts> parts_;
};

}  // namespace replygate

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/scenario/demand.h"

namespace replygate {

// A limit that fits what keys have sent, with room to spare. Values.
struct Proposal {
  struct Named {
    std::string key;
    std::int64_t most = 0;
    std::int64_t usual = 0;
    std::int64_t limit = 0;  // of an override
    Instant when;            // of the most
    bool capped = false;
  };

  Duration window{};
  std::int64_t limit = 0;
  std::size_t keys = 0;
  std::int64_t left_out = 0;
  std::int64_t half = 0;  // of the keys sent at most so much, and so on
  std::int64_t most_95 = 0;
  std::int64_t most_99 = 0;
  std::int64_t most = 0;
  bool brief = false;            // the mail is of too few days: nothing can come again
  std::size_t capped = 0;        // keys that a limit has refused: they may want more than they got
  std::vector<Named> overrides;  // who sends far more than others, again and again
  // Who has sent more than the limit once, and never else: the limit would have hit them. The hundred largest.
  std::vector<Named> bursts;
};

// Where there are fewer keys nothing can be said.
inline constexpr std::size_t kFewestKeys = 10;

// Nothing where there are too few keys. `head_room`: so many times what ordinary keys send at the most.
std::optional<Proposal> propose(const DemandMeter& meter, double head_room);

// The next number that people like: 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten, 10 at least.
std::int64_t round_up(double number);

}  // namespace replygate

#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "policy/facts.h"
#include "policy/policy.h"

namespace replygate {

// What is asked of the policy: one stage of one session.
struct Question {
  Stage stage = Stage::connect;
  // Rules from this index on are not asked: an earlier rule has accepted.
  std::size_t before = std::numeric_limits<std::size_t>::max();
  bool counters = true;        // false: rules with limits are left to another door
  bool counting_only = false;  // nothing can be refused: limits count what comes, full or not
  bool mta_refused = false;    // only rules that name that fact are asked
  FactSet beyond = 0;          // facts that the door cannot know; rules that name one are left to another door
  // Counters that this transaction has charged for the message as a whole; they are not charged again.
  const TextTable* charged = nullptr;
};

// One limit that a rule compares with, for one key.
struct Ask {
  const Rule* rule = nullptr;
  Limit limit;
  std::string key;      // for people: "alice@example.org", several facts joined by '|'
  std::string counter;  // identity of the counter
  std::int64_t cost = 1;

  bool never_fits() const { return cost > limit.most; }
};

// A rule that holds, or may hold, and its limits: asks[first, first + count).
struct Candidate {
  const Rule* rule = nullptr;
  Truth holds = Truth::yes;  // yes or unknown
  std::size_t first = 0;
  std::size_t count = 0;
};

// The rules that could answer, in the order of the file, and the counters that they touch. The walk ends behind the
// first rule that answers for certain.
struct Charges {
  std::vector<Candidate> candidates;
  std::vector<Ask> asks;
};

// Pure: reads facts and policy, nothing else. Pointers in the result are into `policy`.
Charges charges_for(const Policy& policy, const Facts& facts, const Question& question);

}  // namespace replygate

#pragma once

#include <cstdint>
#include <vector>

#include "milter/outcome/outcome_database.h"
#include "policy/decide/outcomes.h"

namespace replygate {

// Outcomes that are known for good and not yet counted for good. All within a transaction of the database. One thread.
class OutcomeOutbox {
 public:
  struct Entry {
    std::int64_t number = 0;
    OutcomeKey key;
    CountedOutcome outcome;
  };

  // `db` outlives it.
  explicit OutcomeOutbox(OutcomeDatabase& db) : db_(db) {}

  // With its number from then on.
  void add(Entry& entry);
  void remove(std::int64_t number);
  std::vector<Entry> all();

 private:
  OutcomeDatabase& db_;
};

}  // namespace replygate

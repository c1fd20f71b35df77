#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/count/store_memory.h"
#include "policy/decide/outcome_key.h"
#include "policy/decide/record.h"
#include "policy/scenario/past.h"

namespace replygate {

// Some rule counts outcomes, or asks which addresses are dead.
bool asks_for_outcomes(const Policy& policy);

// What became of mail that is played again: counts each outcome at its time, for the keys that the mail has now, as the
// daemon does. Mail that is refused now has none. Of a policy that asks for no outcomes it keeps nothing. One thread.
class ReplayedOutcomes {
 public:
  // `store` outlives it.
  ReplayedOutcomes(std::shared_ptr<const Policy> policy, MemoryStore& store);

  // A transaction was played. `places`: where its recipients are in `record`; null: there is no record.
  void ended(const PastTransaction& t, const std::vector<std::optional<std::size_t>>& places, const Record* record);
  // Waits until it is counted; it may come before its transaction.
  void add(PastOutcome outcome);
  void count_until(Instant now, std::uint64_t number);  // those that were counted before
  void count_first();
  std::size_t waiting() const { return waiting_.size(); }

  // Whether outcomes have told so; nothing where they have told of no bounce.
  std::optional<bool> is_dead(std::string_view address, Instant now) const;

 private:
  struct Sent {
    std::vector<OutcomeKey> keys;
    bool ours = false;
    bool passed = false;  // was let through
  };
  struct Mail {
    bool unmeant = false;
    bool passed = false;
    boost::unordered_flat_map<std::string, Sent> recipients;
  };

  Mail mail_of(const PastTransaction& t, const std::vector<std::optional<std::size_t>>& places,
               const Record* record) const;
  void forget_old(Instant now);
  void count(const PastOutcome& outcome);
  void count(const PastOutcome& outcome, const Mail& mail, const Sent& sent);
  void note_dead(const PastOutcome& outcome, bool known);

  std::shared_ptr<const Policy> policy_;
  MemoryStore& store_;
  bool wanted_ = false;
  std::multimap<std::pair<Instant, std::uint64_t>, PastOutcome> waiting_;  // by when they were counted
  boost::unordered_flat_map<std::string, Mail> mails_;
  std::deque<std::pair<Instant, std::string>> order_;  // of the mails
  std::int64_t recipients_ = 0;
  boost::unordered_flat_map<std::string, std::vector<std::int64_t>> dead_;  // times of reports, of who bounced
};

}  // namespace replygate

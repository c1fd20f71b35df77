#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
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
#include "policy/scenario/replayed_dead.h"

namespace replygate {

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
  std::size_t mails() const { return mails_.size(); }

  // Whether outcomes have told so; nothing where they cannot tell.
  std::optional<bool> is_dead(std::string_view address, Instant now) const { return dead_.is_dead(address, now); }

 private:
  using Keys = std::shared_ptr<const std::vector<OutcomeKey>>;
  // Millions of them are kept.
  struct Sent {
    std::string address;
    Keys keys;
    bool ours = false;
    bool passed = false;  // was let through
    bool failed = false;
    bool complained = false;
  };
  struct Mail {
    std::string name;
    Instant time{};
    bool unmeant = false;
    bool passed = false;           // for somebody
    std::vector<Sent> recipients;  // by address
  };
  static std::string_view name_of_known(const Mail* mail) { return mail->name; }
  static std::string_view name_of_known(std::string_view name) { return name; }
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const auto& mail) const { return std::hash<std::string_view>{}(name_of_known(mail)); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return name_of_known(a) == name_of_known(b); }
  };

  Mail mail_of(const PastTransaction& t, const std::vector<std::optional<std::size_t>>& places, const Record* record);
  Keys shared(std::vector<OutcomeKey> keys);
  void forget_old(Instant now);
  void count(const PastOutcome& outcome);
  void count(const PastOutcome& outcome, const Mail& mail, Sent& sent);
  void count_hidden(const PastOutcome& outcome, Mail& mail);
  void charge(const PastOutcome& outcome, const Mail& mail, const std::string& address,
              const std::vector<OutcomeKey>& keys);
  void note_dead(const PastOutcome& outcome, bool known);

  std::shared_ptr<const Policy> policy_;
  MemoryStore& store_;
  bool wanted_ = false;
  std::multimap<std::pair<Instant, std::uint64_t>, PastOutcome> waiting_;  // by when they were counted
  std::deque<Mail> mails_;                                                 // the oldest first
  boost::unordered_flat_set<Mail*, Hash, Equal> by_name_;
  std::int64_t recipients_ = 0;
  std::vector<Keys> last_keys_;  // of those whose hash is the same the last ones
  ReplayedDead dead_;
};

}  // namespace replygate

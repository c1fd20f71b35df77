#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "milter/clock.h"
#include "milter/outcome/outcome_database.h"
#include "policy/decide/session.h"
#include "policy/remote/reason.h"
#include "policy/rules/settings.h"

namespace replygate {

// Addresses of others that their own servers have called dead, so many times within a time; for a while from the last
// report on. One that takes mail is alive. What changes it happens within a transaction of the database, on one thread;
// is_dead() is for any.
class DeadList final : public DeadAddresses {
 public:
  struct Entry {
    std::string address;
    std::int64_t reports = 0;
    Instant last{};
    Instant until{};  // is dead; not later than `last`: not yet
    Reason reason = Reason::user_unknown;
    std::string text;  // what the server said last
  };

  // `db` and `clock` outlive it.
  DeadList(OutcomeDatabase& db, const OutcomeSettings& settings, const Clock& clock);

  bool is_dead(const Address& recipient) const override;
  std::size_t dead() const;

  void report(const std::string& address, Instant time, Reason reason, std::string_view text);
  // Whether there was something to forget.
  bool clear(const std::string& address);
  std::optional<Entry> find(const std::string& address);
  // The last that were reported, `most` at most.
  std::vector<Entry> last(std::int64_t most);
  // Forgets what is out of date, and the oldest beyond the bound; some at a time.
  void forget(Instant now);
  // What the database has, behind a transaction that did not happen.
  void read_anew();

 private:
  Entry entry_at(sqlite3_stmt* row) const;
  void keep(const Entry& entry);

  OutcomeDatabase& db_;
  const OutcomeSettings settings_;
  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  boost::unordered_flat_map<std::string, Instant> until_;  // by address; guarded by mutex_
  std::int64_t known_ = 0;                                 // addresses that were reported
};

}  // namespace replygate

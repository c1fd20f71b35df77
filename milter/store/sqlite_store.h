#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <vector>

#include "milter/clock.h"
#include "milter/guarded.h"
#include "milter/store/health.h"
#include "milter/store/state_file.h"
#include "policy/rules/policy.h"

namespace replygate {

// Counters in memory, and behind them a file. With durability `window` what is counted is on disk a tenth of a second
// later; with `commit` an answer waits until it is, together with all others that wait, for a second at the most: then
// there are no readings, and what was reserved is given back. While the file cannot be written decisions go on from
// memory, and what they count is written once it can be again. Any thread.
//
// A file in which something is damaged or missing is set aside, and all that is sound in it goes into a new one.
class SqliteStore final : public Store {
 public:
  // `clock` and `health` outlive the store. A daemon that has the file is given `patience` to end. On failure the
  // reason, for people.
  static tl::expected<std::unique_ptr<SqliteStore>, std::string> open(const StoreSettings& settings, const Clock& clock,
                                                                      StoreHealth& health, Duration patience = {});
  ~SqliteStore() override;  // writes what is left

  // `done` is called on the thread that writes, where it must wait.
  bool take_at_once(std::span<const Charge> charges, bool admit, Instant now, Readings& answer) override;
  bool settle_at_once(std::span<const ReservationId> ids, Settlement settlement, Instant now) override;
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override;
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override;

  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override;

  const MemoryStore& memory() const { return *memory_; }

 private:
  SqliteStore(const StoreSettings& settings, const Clock& clock, StoreHealth& health);

  tl::expected<void, std::string> load();
  StateFile::Result<StateFile::Content> read_file(std::vector<MemoryStore::Change>& out_of_use);
  tl::expected<void, std::string> begin_anew(const std::string& damage);
  tl::expected<void, std::string> set_aside(const std::string& why);
  StateFile::Result<void> reopen();
  // Who waits until what was counted is on disk, and what he hears where that takes too long.
  struct Waiter {
    std::chrono::steady_clock::time_point until;
    std::function<void()> then;
    std::function<void()> overdue;
  };

  void wait_for_disk(std::function<void()> then, std::function<void()> overdue);
  void look_for_overdue();
  void run();
  void flush(bool last);
  void forget_progress();
  bool lock_in_place(std::string& why);
  void note_trouble(const StateFile::Failure& failure);
  Duration shift() const;

  const StoreSettings settings_;
  const Clock& clock_;
  StoreHealth& health_;
  int lock_ = -1;
  std::unique_ptr<MemoryStore> memory_;
  std::unique_ptr<StateFile> file_;                    // after the start of the thread its own; null in trouble
  std::chrono::steady_clock::time_point try_again_{};  // the thread's own
  bool suspected_ = false;                             // of the thread: the file was of no use a moment ago
  std::atomic<bool> in_trouble_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiter> waiting_;                                         // guarded by mutex_
  std::vector<Waiter> flying_;                                          // of the write under way; guarded by mutex_
  std::optional<std::chrono::steady_clock::time_point> writing_since_;  // guarded by mutex_
  bool stopping_ = false;                                               // guarded by mutex_
  std::thread thread_;
  std::unique_ptr<Ticker> patience_;
};

}  // namespace replygate

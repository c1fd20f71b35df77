#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <vector>

#include "milter/clock.h"
#include "milter/log/recorder.h"
#include "milter/log/troubles.h"
#include "milter/outcome/dead_list.h"
#include "milter/outcome/mail_log_feed.h"
#include "milter/outcome/outcome_charger.h"
#include "milter/outcome/outcome_ledger.h"
#include "milter/outcome/sent_mail.h"
#include "policy/decide/refs.h"
#include "policy/rules/settings.h"

namespace replygate {

// Whose troubles keep outcomes from being counted: the log's, and those of the file that keeps them.
constexpr const char* kOfOutcomes = "outcomes";
constexpr const char* kOfOutcomeFile = "outcomes.db";

// Follows the MTA's log on a thread of its own, and tells all that listen what became of the mail that the policy let
// through. What was read and what came of it are kept in one commit, so that a kill at any moment loses and doubles
// nothing; it goes on where it was. Any thread but for what says otherwise.
class OutcomeReader final : public RecordListener {
 public:
  struct Figures {
    std::string log;
    std::int64_t lines = 0;     // read since the start
    std::int64_t attempts = 0;  // that they told
    std::int64_t unknown = 0;   // of them: of messages that we know nothing of
    std::int64_t outcomes = 0;
    std::int64_t messages = 0;    // that are remembered
    std::int64_t recipients = 0;  // of them
    std::int64_t forgotten = 0;   // recipients that had to make room before their final outcome was known
    std::int64_t dropped = 0;     // records that came faster than they could be kept
    std::int64_t uncounted = 0;   // outcomes that the store does not have yet
    std::int64_t untold = 0;      // outcomes that limits will never count: the store was away for too long
    std::int64_t dead = 0;        // addresses
  };
  // What it needs of the daemon. Outlives it.
  struct Services {
    const Clock& clock;
    Recorder& recorder;
    Troubles& troubles;
    Store& store;
    const StoreHealth& health;
    const CurrentPolicy& policy;
    References& references;
  };

  // `path` of the file. On failure the reason, for people.
  static tl::expected<std::unique_ptr<OutcomeReader>, std::string> open(const OutcomeSettings& settings,
                                                                        const std::string& path,
                                                                        const Services& services);
  ~OutcomeReader() override { stop(); }

  // Before start(); outlives stop().
  void add(OutcomeListener& listener) { listeners_.push_back(&listener); }
  void start();
  void stop();

  void hear(Rendering& rendering) override;  // of the recorder
  Figures figures() const;
  // Does something with the ledger and the dead addresses, on the reader's thread, in a transaction that is kept when
  // the call returns. May be done anew where that fails. False: it was not done in `patience`. Any thread.
  using Task = std::function<void(OutcomeLedger& ledger, DeadList& dead, Instant now)>;
  bool within(Task task, std::chrono::milliseconds patience = std::chrono::seconds(1));
  void refuse_tasks();                                            // from now on; the end is near
  const DeadAddresses& dead_addresses() const { return *dead_; }  // while it lives

 private:
  // A task, and who waits until it is kept.
  struct Asked {
    Task task;
    std::promise<void> kept;
    std::atomic<bool> given_up{false};
  };
  // A place in the log, and how many lines were read up to it.
  struct Checkpoint {
    std::string position;
    std::int64_t lines = 0;
    Instant time{};
  };

  OutcomeReader(const OutcomeSettings& settings, const Services& services);

  tl::expected<void, std::string> prepare(const std::string& path);
  void run();
  bool round();
  bool begin(Instant now);
  void begin_anew(const std::string& why, Instant now);
  void keep_heard();
  bool read_log(Instant now);
  void note_progress(Instant now);
  void do_tasks(Instant now);
  void keep_outcomes(const std::deque<MailOutcome>& outcomes);
  void note_dead(const MailOutcome& outcome);
  void count_and_tell(std::deque<MailOutcome>& outcomes);
  void add_figures(const OutcomeLedger::Figures& figures);
  void note_figures();

  const OutcomeSettings settings_;
  const Services services_;
  std::vector<OutcomeListener*> listeners_;

  // Of the thread.
  std::unique_ptr<StatusBook> book_;
  std::unique_ptr<OutcomeDatabase> db_;
  std::unique_ptr<OutcomeFile> file_;
  std::unique_ptr<OutcomeOutbox> outbox_;
  std::unique_ptr<OutcomeCharger> charger_;
  std::unique_ptr<DeadList> dead_;
  std::unique_ptr<OutcomeLedger> ledger_;  // null before the log could be opened, as the feed
  std::unique_ptr<MailLogFeed> feed_;
  std::deque<Checkpoint> checkpoints_;
  std::int64_t lines_ = 0;  // behind the first checkpoint's own
  std::int64_t again_ = 0;  // lines that a predecessor has probably taken
  std::int64_t read_ = 0;   // before
  std::int64_t forgotten_ = 0;
  std::int64_t untold_ = 0;
  OutcomeLedger::Figures before_;              // of ledgers that are gone
  std::vector<SentMail> keeping_;              // in the transaction under way
  std::vector<OutcomeOutbox::Entry> entries_;  // likewise
  std::vector<std::int64_t> counted_;          // likewise, and no more needed
  std::vector<std::shared_ptr<Asked>> doing_;  // likewise
  OutcomeFile::Progress noted_;
  Instant rest_until_{};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::vector<SentMail> heard_;
  std::size_t heard_recipients_ = 0;
  Figures figures_;
  std::vector<std::shared_ptr<Asked>> asked_;
  bool stopping_ = false;
  bool refusing_ = false;  // tasks

  std::thread thread_;
};

}  // namespace replygate

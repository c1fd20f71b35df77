#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/outcome/outcome.h"
#include "milter/outcome/outcome_database.h"
#include "policy/decide/outcome_key.h"

namespace replygate {

// What is kept of the mail under way: messages with the ids under which the MTA has them, their recipients and what
// became of each, and how far the log has been read. All within a transaction of the database, which its owner begins
// and ends. One thread.
class OutcomeFile {
 public:
  struct SentRecipient {
    std::string address;  // canonical
    std::string ref;      // of the decision
    bool local = false;
    std::vector<OutcomeKey> keys;
  };
  struct State {
    std::string original;  // of which an alias or a forward has made it; "": it was addressed itself
    std::string ref;
    bool local = false;
    std::vector<OutcomeKey> keys;
    std::optional<OutcomeKind> kind;  // nothing: no attempt was told yet
    bool complained = false;
    Reason reason = Reason::unspecified;  // of the last attempt
  };
  struct Standing {
    std::string address;
    State state;
  };
  struct Contents {
    std::int64_t messages = 0;
    std::int64_t recipients = 0;
  };

  // `db` outlives it.
  explicit OutcomeFile(OutcomeDatabase& db);

  // The transaction has begun, or nothing of it has happened.
  void begin() { before_ = contents_; }
  void roll_back() { contents_ = before_; }

  // How far the log has been read: to a position, and to how many lines behind an earlier one.
  struct Progress {
    std::string log;  // which
    std::string position;
    std::string earlier;
    std::int64_t lines = 0;

    bool operator==(const Progress&) const = default;
  };
  Progress progress();
  void set_progress(const Progress& progress);

  // A message with its id; gives its number.
  std::int64_t add(const Sending& sending, const std::vector<SentRecipient>& recipients);
  // The message goes on under another id, too.
  void add_id(std::string_view id, std::int64_t sending);
  // The MTA is done with it, and may use it again.
  void forget_id(std::string_view id);
  // Which message has the id at present; 0: none.
  std::int64_t sending_of(std::string_view id);
  std::optional<Sending> sending(std::int64_t number);
  void set_message_id(std::int64_t number, std::string_view message_id);
  // The last messages that had an id, though the MTA is done with them; `most` at most.
  std::vector<std::int64_t> with_queue_id(std::string_view id, int most);
  std::vector<std::int64_t> with_message_id(std::string_view id, int most);
  // Whom the client has addressed.
  struct Addressed {
    std::string only;              // "" where they are several, or none
    bool reached = false;          // not all of them have failed
    std::vector<OutcomeKey> keys;  // that all of them have
  };
  Addressed addressed(std::int64_t sending);

  std::optional<State> recipient(std::int64_t sending, std::string_view address);
  void put_recipient(std::int64_t sending, std::string_view address, const State& state);
  // Under which id a recipient was deferred last.
  void note_deferral(std::int64_t sending, std::string_view address, std::string_view id);
  // Recipients that were deferred under an id, and have no final outcome. What an alias has made other addresses of has
  // theirs.
  std::vector<Standing> deferred_under(std::int64_t sending, std::string_view id);

  // Forgets messages from before `oldest`, and the oldest of those beyond `recipients`; a bounded number at a time. How
  // many recipients without a final outcome were among them.
  std::int64_t forget(Instant oldest, std::int64_t recipients);
  const Contents& contents() const { return contents_; }

 private:
  std::string meta(std::string_view name);
  void set_meta(std::string_view name, std::string_view value);
  bool forget_oldest(Instant oldest, std::int64_t recipients, std::int64_t& unfinished);

  OutcomeDatabase& db_;
  Contents contents_;
  Contents before_;  // the transaction
};

}  // namespace replygate

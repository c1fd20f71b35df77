#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/lookup/sqlite.h"
#include "milter/outcome/outcome.h"
#include "policy/decide/outcome_key.h"

namespace replygate {

// What is kept of the mail under way, in a file of SQLite: messages with the ids under which the MTA has them, their
// recipients and what became of each, and how far the log has been read. Everything between begin() and commit()
// happens or does not; what a step cannot do is told by commit(). One thread.
class OutcomeFile {
 public:
  struct SentRecipient {
    std::string address;  // canonical
    std::string ref;      // of the decision
    bool local = false;
    std::vector<OutcomeKey> keys;
  };
  struct State {
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

  // Creates it where there is none. One that cannot be read as such is kept under another name, which `aside` tells. On
  // failure the reason, for people.
  static tl::expected<std::unique_ptr<OutcomeFile>, std::string> open(const std::string& path, std::string& aside);

  void begin();
  // On failure the reason; nothing has happened then.
  tl::expected<void, std::string> commit();
  void roll_back();

  // How far the log has been read: a position, and how many lines behind it.
  struct Progress {
    std::string log;  // which
    std::string position;
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

  std::optional<State> recipient(std::int64_t sending, std::string_view address);
  void put_recipient(std::int64_t sending, std::string_view address, const State& state);
  // Recipients without a final outcome.
  std::vector<Standing> unfinished(std::int64_t sending);

  // Forgets messages from before `oldest`, and the oldest of those beyond `recipients`; a bounded number at a time. How
  // many recipients without a final outcome were among them.
  std::int64_t forget(Instant oldest, std::int64_t recipients);
  const Contents& contents() const { return contents_; }

 private:
  explicit OutcomeFile(sqlite::Database db) : db_(std::move(db)) {}

  tl::expected<void, std::string> prepare();
  sqlite3_stmt* statement(const char* sql);
  void note(bool done);
  void run(sqlite3_stmt* statement) { note(sqlite::run(statement)); }
  std::string meta(std::string_view name);
  void set_meta(std::string_view name, std::string_view value);
  std::int64_t number(const char* sql);
  bool forget_oldest(Instant oldest, std::int64_t recipients, std::int64_t& unfinished);

  sqlite::Database db_;
  std::vector<std::pair<const char*, sqlite::Statement>> statements_;  // by the text's address
  std::string failure_;
  Contents contents_;
  Contents before_;  // the transaction
};

}  // namespace replygate

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "milter/lookup/sqlite.h"

namespace replygate {

// The file of outcomes: one of SQLite, with the tables of all that is kept there. Everything between begin() and
// commit() happens or does not; what a step cannot do is told by commit(). One thread.
class OutcomeDatabase {
 public:
  // Creates it where there is none. One that cannot be read as such is kept under another name, which `aside` tells. On
  // failure the reason, for people.
  static tl::expected<std::unique_ptr<OutcomeDatabase>, std::string> open(const std::string& path, std::string& aside);

  void begin();
  // On failure the reason; nothing has happened then.
  tl::expected<void, std::string> commit();
  void roll_back();
  bool failed() const { return !failure_.empty(); }

  // Of a literal, prepared once. Its values are bound with BoundStep.
  sqlite3_stmt* statement(const char* sql);
  // Runs what gives no rows. Nothing more happens behind a failure: SQLite may have ended the transaction, and what
  // follows would stand alone.
  void run(sqlite3_stmt* statement) {
    if (!failed()) note(sqlite::run(statement));
  }
  // A step that was not done fails the transaction.
  void note(bool done);
  std::int64_t number(const char* sql);
  std::int64_t last_number() const { return sqlite3_last_insert_rowid(db_.get()); }
  int changed() const { return sqlite3_changes(db_.get()); }

 private:
  explicit OutcomeDatabase(sqlite::Database db) : db_(std::move(db)) {}
  tl::expected<void, std::string> prepare();

  sqlite::Database db_;
  std::vector<std::pair<const char*, sqlite::Statement>> statements_;  // by the text's address
  std::string failure_;
};

// A statement with its values, for the time of one step. Values outlive it.
class BoundStep {
 public:
  BoundStep(OutcomeDatabase& db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  BoundStep(const BoundStep&) = delete;
  BoundStep& operator=(const BoundStep&) = delete;
  ~BoundStep() { sqlite3_reset(statement_); }

  BoundStep& text(std::string_view value) {
    sqlite3_bind_text(statement_, ++index_, value.data() == nullptr ? "" : value.data(), static_cast<int>(value.size()),
                      SQLITE_STATIC);
    return *this;
  }
  BoundStep& number(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++index_, value);
    return *this;
  }
  BoundStep& octets(std::string_view value) {
    sqlite::bind_octets(statement_, ++index_, value);
    return *this;
  }
  // A step that fails is no end of the rows: the transaction fails.
  bool row() {
    const int step = sqlite3_step(statement_);
    if (step != SQLITE_ROW && step != SQLITE_DONE) db_.note(false);
    return step == SQLITE_ROW;
  }
  sqlite3_stmt* get() { return statement_; }

 private:
  OutcomeDatabase& db_;
  sqlite3_stmt* statement_;
  int index_ = 0;
};

}  // namespace replygate

#include "milter/outcome/outcome_database.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "milter/store/state_file.h"

namespace replygate {
namespace {

constexpr const char* kOutcomesSchema = R"(
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sending (number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
  queue_id TEXT NOT NULL, session TEXT NOT NULL, ref TEXT NOT NULL, sender TEXT NOT NULL, user TEXT NOT NULL,
  client_ip TEXT NOT NULL, message_id TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS sending_queue_id ON sending (queue_id);
CREATE INDEX IF NOT EXISTS sending_message_id ON sending (message_id) WHERE message_id <> '';
CREATE TABLE IF NOT EXISTS open_id (id TEXT PRIMARY KEY, sending INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_id_sending ON open_id (sending);
CREATE TABLE IF NOT EXISTS recipient (sending INTEGER NOT NULL, address TEXT NOT NULL, original TEXT NOT NULL, ref TEXT NOT NULL,
  local INTEGER NOT NULL, keys BLOB NOT NULL, kind INTEGER NOT NULL, complained INTEGER NOT NULL,
  reason INTEGER NOT NULL, PRIMARY KEY (sending, address)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deferred (sending INTEGER NOT NULL, address TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (sending, address)) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('version', '1');
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
  unit TEXT NOT NULL, unmeant INTEGER NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL, member TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS dead (address TEXT PRIMARY KEY, times TEXT NOT NULL, last INTEGER NOT NULL,
  reason INTEGER NOT NULL, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_last ON dead (last);
)";

sqlite::Database open_to_write(const std::string& path, std::string& why) {
  const mode_t before = ::umask(0077);
  sqlite3* raw = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  ::umask(before);
  sqlite::Database db(raw);
  if (status == SQLITE_OK) return db;
  why = sqlite3_errstr(status);
  return nullptr;
}

}  // namespace

tl::expected<std::unique_ptr<OutcomeDatabase>, std::string> OutcomeDatabase::open(const std::string& path,
                                                                                  std::string& aside) {
  for (int attempt = 0;; ++attempt) {
    std::string why;
    sqlite::Database db = open_to_write(path, why);
    if (db == nullptr) return tl::unexpected(fmt::format("{}: {}", path, why));
    sqlite3* raw = db.get();
    std::unique_ptr<OutcomeDatabase> file(new OutcomeDatabase(std::move(db)));
    const auto prepared = file->prepare();
    if (prepared) return file;
    const bool unusable = sqlite::is_unusable(sqlite3_errcode(raw));
    file.reset();
    if (!unusable || attempt > 0) return tl::unexpected(fmt::format("{}: {}", path, prepared.error()));
    const auto named = StateFile::set_aside(path);
    if (!named) return tl::unexpected(named.error());
    aside = *named;
  }
}

tl::expected<void, std::string> OutcomeDatabase::prepare() {
  sqlite3* db = db_.get();
  sqlite3_busy_timeout(db, 1000);
  sqlite3_extended_result_codes(db, 1);
  for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", kOutcomesSchema}) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      return tl::unexpected(std::string(sqlite3_errmsg(db)));
  }
  if (number("SELECT value = '1' FROM meta WHERE name = 'version'") == 1) return {};
  if (!failure_.empty()) return tl::unexpected(std::exchange(failure_, ""));
  return tl::unexpected(std::string("it is of another version of replygate"));
}

// Kept by the address of the literal: each is written once.
sqlite3_stmt* OutcomeDatabase::statement(const char* sql) {
  const auto known = std::ranges::find(statements_, sql, [](const auto& s) { return s.first; });
  if (known != statements_.end()) return known->second.get();
  statements_.emplace_back(sql, sqlite::prepare_to_keep(db_.get(), sql));
  note(statements_.back().second != nullptr);
  return statements_.back().second.get();
}

void OutcomeDatabase::note(bool done) {
  if (!done && failure_.empty()) failure_ = sqlite3_errmsg(db_.get());
}

void OutcomeDatabase::begin() {
  failure_.clear();
  run(statement("BEGIN IMMEDIATE"));
}

tl::expected<void, std::string> OutcomeDatabase::commit() {
  if (failure_.empty()) run(statement("COMMIT"));
  if (failure_.empty()) return {};
  std::string why = failure_;
  roll_back();
  return tl::unexpected(std::move(why));
}

void OutcomeDatabase::roll_back() {
  if (sqlite3_get_autocommit(db_.get()) == 0) sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  failure_.clear();
}

std::int64_t OutcomeDatabase::number(const char* sql) {
  BoundStep asked(*this, statement(sql));
  const bool row = asked.row();
  note(row);
  return row ? sqlite3_column_int64(asked.get(), 0) : 0;
}

}  // namespace replygate

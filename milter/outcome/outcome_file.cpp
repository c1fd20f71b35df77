#include "milter/outcome/outcome_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "milter/outcome/outcome_key_text.h"
#include "milter/store/state_file.h"

namespace replygate {
namespace {

constexpr int kOutcomesVersion = 1;
constexpr int kForgottenTogether = 500;  // messages

constexpr const char* kOutcomesSchema = R"(
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sending (number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
  queue_id TEXT NOT NULL, session TEXT NOT NULL, ref TEXT NOT NULL, sender TEXT NOT NULL, user TEXT NOT NULL,
  client_ip TEXT NOT NULL, message_id TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS sending_queue_id ON sending (queue_id);
CREATE INDEX IF NOT EXISTS sending_message_id ON sending (message_id) WHERE message_id <> '';
CREATE TABLE IF NOT EXISTS open_id (id TEXT PRIMARY KEY, sending INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_id_sending ON open_id (sending);
CREATE TABLE IF NOT EXISTS recipient (sending INTEGER NOT NULL, address TEXT NOT NULL, ref TEXT NOT NULL,
  local INTEGER NOT NULL, keys BLOB NOT NULL, kind INTEGER NOT NULL, complained INTEGER NOT NULL,
  reason INTEGER NOT NULL, PRIMARY KEY (sending, address)) STRICT, WITHOUT ROWID;
)";

constexpr const char* kRemoveRecipients = "DELETE FROM recipient WHERE sending = ?";

constexpr std::int64_t kNoKind = -1;

std::int64_t microseconds_of(Instant time) { return time.time_since_epoch().count(); }

// For the time of one step.
class Bound {
 public:
  explicit Bound(sqlite3_stmt* statement) : statement_(statement) {}
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;
  ~Bound() { sqlite3_reset(statement_); }

  Bound& text(std::string_view value) {
    sqlite3_bind_text(statement_, ++index_, value.data() == nullptr ? "" : value.data(), static_cast<int>(value.size()),
                      SQLITE_STATIC);
    return *this;
  }
  Bound& number(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++index_, value);
    return *this;
  }
  Bound& octets(std::string_view value) {
    sqlite::bind_octets(statement_, ++index_, value);
    return *this;
  }
  bool row() { return sqlite3_step(statement_) == SQLITE_ROW; }
  sqlite3_stmt* get() { return statement_; }

 private:
  sqlite3_stmt* statement_;
  int index_ = 0;
};

OutcomeFile::State state_at(sqlite3_stmt* row, int first) {
  OutcomeFile::State state;
  state.ref = sqlite::column(row, first);
  state.local = sqlite3_column_int64(row, first + 1) != 0;
  state.keys = outcome_keys_in(sqlite::octets(row, first + 2));
  const std::int64_t kind = sqlite3_column_int64(row, first + 3);
  if (kind != kNoKind) state.kind = static_cast<OutcomeKind>(kind);
  state.complained = sqlite3_column_int64(row, first + 4) != 0;
  state.reason = static_cast<Reason>(sqlite3_column_int64(row, first + 5));
  return state;
}

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

tl::expected<std::unique_ptr<OutcomeFile>, std::string> OutcomeFile::open(const std::string& path, std::string& aside) {
  for (int attempt = 0;; ++attempt) {
    std::string why;
    sqlite::Database db = open_to_write(path, why);
    if (db == nullptr) return tl::unexpected(fmt::format("{}: {}", path, why));
    sqlite3* raw = db.get();
    std::unique_ptr<OutcomeFile> file(new OutcomeFile(std::move(db)));
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

tl::expected<void, std::string> OutcomeFile::prepare() {
  sqlite3* db = db_.get();
  sqlite3_busy_timeout(db, 1000);
  sqlite3_extended_result_codes(db, 1);
  for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", kOutcomesSchema}) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      return tl::unexpected(std::string(sqlite3_errmsg(db)));
  }
  const std::string version = meta("version");
  if (version.empty()) set_meta("version", std::to_string(kOutcomesVersion));
  if (!version.empty() && version != std::to_string(kOutcomesVersion)) {
    return tl::unexpected(std::string("it is of another version of replygate"));
  }
  contents_ = {number("SELECT count(*) FROM sending"), number("SELECT count(*) FROM recipient")};
  if (!failure_.empty()) return tl::unexpected(std::exchange(failure_, ""));
  return {};
}

// Kept by the address of the literal: each is written once.
sqlite3_stmt* OutcomeFile::statement(const char* sql) {
  const auto known = std::ranges::find(statements_, sql, [](const auto& s) { return s.first; });
  if (known != statements_.end()) return known->second.get();
  statements_.emplace_back(sql, sqlite::prepare_to_keep(db_.get(), sql));
  note(statements_.back().second != nullptr);
  return statements_.back().second.get();
}

void OutcomeFile::note(bool done) {
  if (!done && failure_.empty()) failure_ = sqlite3_errmsg(db_.get());
}

void OutcomeFile::begin() {
  failure_.clear();
  before_ = contents_;
  run(statement("BEGIN IMMEDIATE"));
}

tl::expected<void, std::string> OutcomeFile::commit() {
  if (failure_.empty()) run(statement("COMMIT"));
  if (failure_.empty()) return {};
  std::string why = failure_;
  roll_back();
  return tl::unexpected(std::move(why));
}

void OutcomeFile::roll_back() {
  if (sqlite3_get_autocommit(db_.get()) == 0) sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  contents_ = before_;
  failure_.clear();
}

std::string OutcomeFile::meta(std::string_view name) {
  Bound asked(statement("SELECT value FROM meta WHERE name = ?"));
  return asked.text(name).row() ? sqlite::column(asked.get(), 0) : "";
}

void OutcomeFile::set_meta(std::string_view name, std::string_view value) {
  Bound put(statement("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"));
  put.text(name).text(value);
  run(put.get());
}

std::int64_t OutcomeFile::number(const char* sql) {
  Bound asked(statement(sql));
  const bool row = asked.row();
  note(row);
  return row ? sqlite3_column_int64(asked.get(), 0) : 0;
}

OutcomeFile::Progress OutcomeFile::progress() {
  Progress progress{meta("log"), meta("position"), 0};
  const std::string lines = meta("lines");
  std::from_chars(lines.data(), lines.data() + lines.size(), progress.lines);
  return progress;
}

void OutcomeFile::set_progress(const Progress& progress) {
  set_meta("log", progress.log);
  set_meta("position", progress.position);
  set_meta("lines", std::to_string(progress.lines));
}

std::int64_t OutcomeFile::add(const Sending& sending, const std::vector<SentRecipient>& recipients) {
  {
    Bound put(
        statement("INSERT INTO sending (time, queue_id, session, ref, sender, user, client_ip, message_id)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
    put.number(microseconds_of(sending.time)).text(sending.queue_id).text(sending.session).text(sending.ref);
    put.text(sending.sender).text(sending.user).text(sending.client_ip).text(sending.message_id);
    run(put.get());
  }
  const std::int64_t number = sqlite3_last_insert_rowid(db_.get());
  ++contents_.messages;
  add_id(sending.queue_id, number);
  for (const SentRecipient& r : recipients) {
    put_recipient(number, r.address, {.ref = r.ref, .local = r.local, .keys = r.keys, .kind = std::nullopt});
  }
  return number;
}

void OutcomeFile::add_id(std::string_view id, std::int64_t sending) {
  Bound put(statement("INSERT INTO open_id VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET sending = excluded.sending"));
  put.text(id).number(sending);
  run(put.get());
}

void OutcomeFile::forget_id(std::string_view id) {
  Bound remove(statement("DELETE FROM open_id WHERE id = ?"));
  remove.text(id);
  run(remove.get());
}

std::int64_t OutcomeFile::sending_of(std::string_view id) {
  Bound asked(statement("SELECT sending FROM open_id WHERE id = ?"));
  return asked.text(id).row() ? sqlite3_column_int64(asked.get(), 0) : 0;
}

std::optional<Sending> OutcomeFile::sending(std::int64_t number) {
  Bound asked(
      statement("SELECT time, queue_id, session, ref, sender, user, client_ip, message_id FROM sending"
                " WHERE number = ?"));
  if (!asked.number(number).row()) return std::nullopt;
  sqlite3_stmt* row = asked.get();
  return Sending{.number = number,
                 .time = Instant(Duration(sqlite3_column_int64(row, 0))),
                 .queue_id = sqlite::column(row, 1),
                 .session = sqlite::column(row, 2),
                 .ref = sqlite::column(row, 3),
                 .sender = sqlite::column(row, 4),
                 .user = sqlite::column(row, 5),
                 .client_ip = sqlite::column(row, 6),
                 .message_id = sqlite::column(row, 7)};
}

std::optional<OutcomeFile::State> OutcomeFile::recipient(std::int64_t sending, std::string_view address) {
  Bound asked(
      statement("SELECT ref, local, keys, kind, complained, reason FROM recipient"
                " WHERE sending = ? AND address = ?"));
  if (!asked.number(sending).text(address).row()) return std::nullopt;
  return state_at(asked.get(), 0);
}

void OutcomeFile::put_recipient(std::int64_t sending, std::string_view address, const State& state) {
  const std::string keys = text_of(state.keys);
  const std::int64_t kind = state.kind ? static_cast<std::int64_t>(*state.kind) : kNoKind;
  const auto complained = state.complained ? 1 : 0;
  const auto reason = static_cast<std::int64_t>(state.reason);
  {
    Bound put(statement("INSERT INTO recipient VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"));
    put.number(sending).text(address).text(state.ref).number(state.local ? 1 : 0).octets(keys);
    run(put.number(kind).number(complained).number(reason).get());
  }
  const bool added = sqlite3_changes(db_.get()) > 0;
  contents_.recipients += added ? 1 : 0;
  if (added) return;
  Bound change(
      statement("UPDATE recipient SET kind = ?, complained = ?, reason = ? WHERE sending = ? AND address = ?"));
  run(change.number(kind).number(complained).number(reason).number(sending).text(address).get());
}

std::vector<OutcomeFile::Standing> OutcomeFile::unfinished(std::int64_t sending) {
  std::vector<Standing> result;
  Bound asked(
      statement("SELECT address, ref, local, keys, kind, complained, reason FROM recipient"
                " WHERE sending = ? AND kind IN (-1, 1)"));
  asked.number(sending);
  while (asked.row()) result.push_back({sqlite::column(asked.get(), 0), state_at(asked.get(), 1)});
  return result;
}

std::int64_t OutcomeFile::forget(Instant oldest, std::int64_t recipients) {
  std::int64_t unfinished = 0;
  for (int i = 0; i < kForgottenTogether && forget_oldest(oldest, recipients, unfinished); ++i) continue;
  return unfinished;
}

bool OutcomeFile::forget_oldest(Instant oldest, std::int64_t recipients, std::int64_t& unfinished) {
  std::int64_t first = 0;
  {
    Bound asked(statement("SELECT number, time FROM sending ORDER BY number LIMIT 1"));
    if (!asked.row()) return false;
    first = sqlite3_column_int64(asked.get(), 0);
    const Instant time{Duration(sqlite3_column_int64(asked.get(), 1))};
    if (time >= oldest && contents_.recipients <= recipients) return false;
  }
  {
    Bound asked(statement("SELECT count(*) FROM recipient WHERE sending = ? AND kind IN (-1, 1)"));
    if (asked.number(first).row()) unfinished += sqlite3_column_int64(asked.get(), 0);
  }
  for (const char* sql :
       {kRemoveRecipients, "DELETE FROM open_id WHERE sending = ?", "DELETE FROM sending WHERE number = ?"}) {
    Bound remove(statement(sql));
    run(remove.number(first).get());
    if (sql == kRemoveRecipients) contents_.recipients -= sqlite3_changes(db_.get());
  }
  --contents_.messages;
  return failure_.empty();
}

}  // namespace replygate

#include "milter/log/history_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <system_error>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr const char* kSchema = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS word (hash INTEGER NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (hash, record))
  STRICT, WITHOUT ROWID;
)";

sqlite::Statement prepared(sqlite3* db, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  return sqlite::Statement(raw);
}

// With what SQLite adds to rows.
std::int64_t size_of(const HistorySegment::Entry& entry) {
  constexpr std::size_t kRow = 24;
  return static_cast<std::int64_t>(entry.json.size() + (entry.words.size() + 1) * kRow);
}

// Which files are there, for comparison.
std::string files_at(const std::string& path) {
  std::string files;
  for (const char* suffix : {"", "-wal"}) {
    struct stat s{};
    const bool there = ::stat((path + suffix).c_str(), &s) == 0;
    files += there ? fmt::format("{}:{} ", s.st_dev, s.st_ino) : "absent ";
  }
  return files;
}

bool run(sqlite3_stmt* statement) {
  const bool done = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return done;
}

}  // namespace

std::string HistorySegment::trouble() const { return sqlite3_errmsg(db_.get()); }

tl::expected<void, std::string> HistorySegment::execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return tl::unexpected(trouble());
}

HistorySegment::Failure HistorySegment::failure(const std::string& path) const {
  return {fmt::format("{}: {}", path, trouble()), sqlite::is_unusable(sqlite3_extended_errcode(db_.get()))};
}

tl::expected<std::unique_ptr<HistorySegment>, HistorySegment::Failure> HistorySegment::open(const std::string& path) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return tl::unexpected(Failure{fmt::format("{}: {}", path, std::generic_category().message(errno))});
  ::close(file);
  sqlite3* raw = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &raw, kFlags, nullptr);
  std::unique_ptr<HistorySegment> segment(new HistorySegment(sqlite::Database(raw), path));
  if (status != SQLITE_OK) return tl::unexpected(Failure{fmt::format("{}: {}", path, sqlite3_errstr(status))});
  if (!segment->execute(kSchema)) return tl::unexpected(segment->failure(path));
  segment->add_record_ = prepared(raw, "INSERT INTO record (time, json) VALUES (?, ?)");
  if (!segment->add_record_) return tl::unexpected(segment->failure(path));
  segment->add_word_ = prepared(raw, "INSERT OR IGNORE INTO word VALUES (?, ?)");
  if (!segment->add_word_) return tl::unexpected(segment->failure(path));
  const auto all = prepared(raw, "SELECT count(*), coalesce(min(time), 0) FROM record");
  if (!all || sqlite3_step(all.get()) != SQLITE_ROW) return tl::unexpected(segment->failure(path));
  segment->records_ = sqlite3_column_int64(all.get(), 0);
  segment->octets_ = octets_of(path);
  segment->files_ = files_at(path);
  segment->first_ = Instant(Duration(sqlite3_column_int64(all.get(), 1)));
  return segment;
}

bool HistorySegment::in_place() const { return files_at(path_) == files_; }

tl::expected<void, std::string> HistorySegment::insert(const Entry& entry) {
  sqlite3_bind_int64(add_record_.get(), 1, entry.time.time_since_epoch().count());
  sqlite3_bind_text(add_record_.get(), 2, entry.json.data(), static_cast<int>(entry.json.size()), SQLITE_STATIC);
  if (!run(add_record_.get())) return tl::unexpected(trouble());
  const std::int64_t id = sqlite3_last_insert_rowid(db_.get());
  for (const std::int64_t word : entry.words) {
    sqlite3_bind_int64(add_word_.get(), 1, word);
    sqlite3_bind_int64(add_word_.get(), 2, id);
    if (!run(add_word_.get())) return tl::unexpected(trouble());
  }
  return {};
}

tl::expected<void, std::string> HistorySegment::add(const std::vector<Entry>& entries) {
  auto result = execute("BEGIN IMMEDIATE");
  for (std::size_t i = 0; result && i < entries.size(); ++i) result = insert(entries[i]);
  if (result) result = execute("COMMIT");
  if (!result) {
    static_cast<void>(execute("ROLLBACK"));
    return result;
  }
  if (records_ == 0 && !entries.empty()) first_ = entries.front().time;
  records_ += static_cast<std::int64_t>(entries.size());
  for (const Entry& entry : entries) octets_ += size_of(entry);
  return {};
}

std::vector<std::string> HistorySegment::find(const std::string& path, std::int64_t word, std::size_t most) {
  std::vector<std::string> found;
  std::string why;
  const auto db = sqlite::open(path, why);
  if (!db) return found;
  const auto query = sqlite::prepare(db.get(),
                                     "SELECT json FROM word JOIN record ON record.id = word.record WHERE hash = ? "
                                     "ORDER BY word.record DESC LIMIT ?",
                                     why);
  if (!query) return found;
  sqlite3_bind_int64(query.get(), 1, word);
  sqlite3_bind_int64(query.get(), 2, static_cast<std::int64_t>(most));
  while (sqlite3_step(query.get()) == SQLITE_ROW) found.push_back(sqlite::column(query.get(), 0));
  return found;
}

std::int64_t HistorySegment::octets_of(const std::string& path) {
  std::int64_t octets = 0;
  for (const char* suffix : {"", "-wal"}) {
    struct stat s{};
    if (::stat((path + suffix).c_str(), &s) == 0) octets += s.st_size;
  }
  return octets;
}

Instant HistorySegment::last_change(const std::string& path) {
  Instant last{};
  for (const char* suffix : {"", "-wal"}) {
    struct stat s{};
    if (::stat((path + suffix).c_str(), &s) != 0) continue;
    last = std::max(last, Instant(std::chrono::duration_cast<Duration>(std::chrono::seconds(s.st_mtim.tv_sec))));
  }
  return last;
}

std::int64_t HistorySegment::hash(std::string_view word) {
  const std::string lower = to_lower(word);
  std::array<unsigned char, crypto_generichash_BYTES_MIN> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(lower.data()), lower.size(),
                     nullptr, 0);
  std::int64_t first = 0;
  std::memcpy(&first, hash.data(), sizeof first);
  return first;
}

}  // namespace replygate

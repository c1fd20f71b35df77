#include "milter/log/history_segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <system_error>

namespace replygate {
namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY, key BLOB NOT NULL, records INTEGER NOT NULL,
  first INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS block (id INTEGER PRIMARY KEY, pressed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tail (id INTEGER PRIMARY KEY, lines BLOB NOT NULL, hashes BLOB NOT NULL) STRICT;
INSERT OR IGNORE INTO state VALUES (1, randomblob(16), 0, 0);
PRAGMA user_version = 1;
)";

constexpr std::int64_t kMostBlocks = std::int64_t{1} << 31U;

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

std::int64_t number_from(sqlite3* db, const char* sql, std::int64_t otherwise) {
  std::string why;
  const auto query = sqlite::prepare(db, sql, why);
  return query && sqlite3_step(query.get()) == SQLITE_ROW ? sqlite3_column_int64(query.get(), 0) : otherwise;
}

}  // namespace

bool HistorySegment::execute(const char* sql) {
  return sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

HistorySegment::Failure HistorySegment::failure(const std::string& path) const {
  return {fmt::format("{}: {}", path, why_),
          sqlite::is_unusable(status_) ? Failure::Kind::damaged : Failure::Kind::passing};
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
  constexpr int kBusyMilliseconds = 1000;  // while `why` has the file open that is being made
  sqlite3_busy_timeout(raw, kBusyMilliseconds);
  const std::int64_t tables = number_from(raw, "SELECT count(*) FROM sqlite_master", -1);
  if (!segment->noted(tables >= 0)) return tl::unexpected(segment->failure(path));
  const std::int64_t version = number_from(raw, "PRAGMA user_version", -1);
  if (!segment->noted(version >= 0)) return tl::unexpected(segment->failure(path));
  if (version > 1 || (version == 0 && tables > 0)) {
    return tl::unexpected(Failure{path + ": another version has written it", Failure::Kind::foreign});
  }
  if (!segment->make() || !segment->noted(segment->load())) return tl::unexpected(segment->failure(path));
  segment->files_ = files_at(path);
  return segment;
}

bool HistorySegment::make() {
  if (!noted(execute("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"))) return false;
  return transaction([this] { return execute(kSchema) && execute(HistoryIndex::kSchema); });
}

bool HistorySegment::prepare() {
  add_block_ = sqlite::prepare_to_keep(db_.get(), "INSERT INTO block VALUES (?, ?)");
  add_tail_ = sqlite::prepare_to_keep(db_.get(), "INSERT INTO tail (lines, hashes) VALUES (?, ?)");
  set_state_ = sqlite::prepare_to_keep(db_.get(), "UPDATE state SET records = ?, first = ?");
  pages_ = sqlite::prepare_to_keep(db_.get(), "PRAGMA page_count");
  return add_block_ && add_tail_ && set_state_ && pages_;
}

bool HistorySegment::load() {
  const auto state = sqlite::prepare_to_keep(
      db_.get(), "SELECT key, records, first, (SELECT coalesce(max(id), 0) FROM block) FROM state WHERE id = 1");
  if (!state || sqlite3_step(state.get()) != SQLITE_ROW) return false;
  if (sqlite3_column_bytes(state.get(), 0) == static_cast<int>(key_.size())) {
    std::memcpy(key_.data(), sqlite3_column_blob(state.get(), 0), key_.size());
  }
  records_ = sqlite3_column_int64(state.get(), 1);
  first_ = Instant(Duration(sqlite3_column_int64(state.get(), 2)));
  const std::int64_t last = sqlite3_column_int64(state.get(), 3);
  if (last >= kMostBlocks) records_ = std::numeric_limits<std::int64_t>::max();  // nothing more goes into it
  last_block_ = static_cast<std::uint32_t>(last);
  octets_ = octets_of(path_);
  return prepare() && index_.open(db_.get()) && load_tail();
}

bool HistorySegment::load_tail() {
  const auto query = sqlite::prepare_to_keep(db_.get(), "SELECT lines, hashes FROM tail ORDER BY id");
  if (!query) return false;
  int status = sqlite3_step(query.get());
  for (; status == SQLITE_ROW; status = sqlite3_step(query.get())) {
    tail_ += sqlite::octets(query.get(), 0);
    const std::string hashes(sqlite::octets(query.get(), 1));
    const std::size_t before = tail_hashes_.size();
    const std::size_t count = hashes.size() / sizeof(std::uint32_t);
    tail_hashes_.resize(before + count);
    std::memcpy(tail_hashes_.data() + before, hashes.data(), count * sizeof(std::uint32_t));
    tail_written_ = true;
  }
  return status == SQLITE_DONE;
}

bool HistorySegment::in_place() const { return files_at(path_) == files_; }

bool HistorySegment::noted(bool good) {
  if (!good) {
    why_ = sqlite3_errmsg(db_.get());
    status_ = sqlite3_extended_errcode(db_.get());
  }
  return good;
}

bool HistorySegment::transaction(const std::function<bool()>& work) {
  if (noted(execute("BEGIN IMMEDIATE") && work() && execute("COMMIT"))) return true;
  static_cast<void>(execute("ROLLBACK"));
  return false;
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

}  // namespace replygate

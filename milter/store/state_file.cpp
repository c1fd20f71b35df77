#include "milter/store/state_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <system_error>

#include "milter/files.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kApplication = 0x52504c59;  // "RPLY"

// From each version of the schema to the next; the number of rows is the present version. The totals tell whether a
// counter is missing as a whole.
constexpr std::array kMigrations = {R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counters (key BLOB PRIMARY KEY, state BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE totals (id INTEGER PRIMARY KEY, counters INTEGER NOT NULL, sum INTEGER NOT NULL,
                     open INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES (1, 0, 0, 0);
CREATE TRIGGER counter_added AFTER INSERT ON counters BEGIN
  UPDATE totals SET counters = counters + 1, sum = sum + new.checksum;
END;
CREATE TRIGGER counter_changed AFTER UPDATE ON counters BEGIN
  UPDATE totals SET sum = sum + new.checksum - old.checksum;
END;
CREATE TRIGGER counter_removed AFTER DELETE ON counters BEGIN
  UPDATE totals SET counters = counters - 1, sum = sum - old.checksum;
END;
)"};
constexpr auto kVersion = static_cast<std::int64_t>(kMigrations.size());

constexpr const char* kAllSql =
    "SELECT coalesce(group_concat(sql, char(10)), '') FROM (SELECT sql FROM sqlite_schema"
    " WHERE sql IS NOT NULL ORDER BY name)";

// Against bits that fall over, not against people: the key is no secret.
std::int64_t checksum(std::string_view key, std::string_view value) {
  constexpr std::array<unsigned char, crypto_shorthash_KEYBYTES> known{};
  std::array<unsigned char, crypto_shorthash_BYTES> hash{};
  boost::container::small_vector<unsigned char, 256> all(key.begin(), key.end());
  all.insert(all.end(), value.begin(), value.end());
  crypto_shorthash(hash.data(), all.data(), all.size(), known.data());
  std::uint32_t low = 0;
  std::memcpy(&low, hash.data(), sizeof low);
  return low;
}

std::string_view octets_of(const CounterKey& key) { return {reinterpret_cast<const char*>(key.data()), sizeof key}; }

// What a new file would say of itself.
const std::string& expected_schema() {
  static const std::string schema = [] {
    sqlite3* raw = nullptr;
    sqlite3_open(":memory:", &raw);
    const sqlite::Database db(raw);
    for (const char* step : kMigrations) sqlite3_exec(raw, step, nullptr, nullptr, nullptr);
    std::string why;
    const auto all = sqlite::prepare(raw, kAllSql, why);
    return all && sqlite3_step(all.get()) == SQLITE_ROW ? sqlite::column(all.get(), 0) : "";
  }();
  return schema;
}

}  // namespace

StateFile::Failure StateFile::failure(std::string_view doing) const {
  const int status = sqlite3_extended_errcode(db_.get());
  return {fmt::format("{}: {}: {}", path_, doing, sqlite3_errmsg(db_.get())), sqlite::is_unusable(status)};
}

StateFile::Result<void> StateFile::execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return tl::unexpected(failure("cannot be written"));
}

StateFile::Result<sqlite::Statement> StateFile::statement(const char* sql) {
  auto prepared = sqlite::prepare_to_keep(db_.get(), sql);
  if (!prepared) return tl::unexpected(failure("cannot be read"));
  return prepared;
}

StateFile::Result<std::int64_t> StateFile::number(const char* sql) {
  const auto query = statement(sql);
  if (!query) return tl::unexpected(query.error());
  if (sqlite3_step(query->get()) != SQLITE_ROW) return tl::unexpected(failure("cannot be read"));
  return sqlite3_column_int64(query->get(), 0);
}

StateFile::Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path, const Secret& secret) {
  const bool log_was_there = look_for(path + "-wal") != Presence::absent;
  // Nobody else's to read; SQLite gives what it puts beside it the same rights.
  if (const int created = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); created >= 0) {
    ::close(created);
  }
  std::unique_ptr<StateFile> file(new StateFile(path));
  sqlite3* raw = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  file->db_.reset(raw);
  if (status != SQLITE_OK) {
    return tl::unexpected(Failure{fmt::format("{}: cannot be opened: {}", path, sqlite3_errstr(status))});
  }
  if (auto ready = file->prepare(secret, log_was_there); !ready) return tl::unexpected(ready.error());
  return file;
}

StateFile::Result<void> StateFile::prepare(const Secret& secret, bool log_was_there) {
  // A full disk must not keep decisions waiting, and a lock of another program is no reason to wait either.
  if (auto r = execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0"); !r) return r;
  const auto tables = number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tl::unexpected(tables.error());
  if (*tables == 0) {
    secret_ = secret;
    const std::string_view octets(reinterpret_cast<const char*>(secret_.data()), secret_.size());
    std::string hex;
    for (const unsigned char octet : secret_) hex += fmt::format("{:02x}", octet);
    std::string sql = "BEGIN IMMEDIATE;";
    for (const char* step : kMigrations) sql += step;
    sql += fmt::format("INSERT INTO meta VALUES ('secret', x'{}', {});", hex, checksum("secret", octets));
    sql += fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT", kApplication, kVersion);
    if (auto r = execute(sql.c_str()); !r) return r;
  } else {
    if (auto r = check_schema(); !r) return r;
    if (auto r = read_secret(); !r) return r;
  }
  const auto left_open = number("SELECT open FROM totals");
  if (!left_open) return tl::unexpected(left_open.error());
  log_missing_ = *left_open != 0 && !log_was_there;
  if (auto r = execute("UPDATE totals SET open = 1; PRAGMA wal_checkpoint(TRUNCATE)"); !r) return r;
  if (auto r = prepare_writing(); !r) return r;
  struct stat s{};
  if (::stat(path_.c_str(), &s) == 0) inode_ = s.st_ino;
  return {};
}

// The triggers keep the totals right whoever writes. Here they would cost more than the rows: what they would do is
// done once for all changes of a transaction.
StateFile::Result<void> StateFile::prepare_writing() {
  if (sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr) != SQLITE_OK ||
      sqlite3_create_function(db_.get(), "replaced", 1, SQLITE_UTF8, this, &StateFile::replaced, nullptr, nullptr) !=
          SQLITE_OK) {
    return tl::unexpected(failure("cannot be written"));
  }
  const auto keep = [this](sqlite::Statement& kept, const char* sql) -> Result<void> {
    auto made = statement(sql);
    if (!made) return tl::unexpected(made.error());
    kept = *std::move(made);
    return {};
  };
  constexpr const char* kPut =
      "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET state = excluded.state,"
      " checksum = excluded.checksum WHERE replaced(counters.checksum)";
  if (auto r = keep(put_, kPut); !r) return r;
  if (auto r = keep(remove_, "DELETE FROM counters WHERE key = ?1 AND replaced(checksum)"); !r) return r;
  return keep(add_up_, "UPDATE totals SET counters = counters + ?1, sum = sum + ?2");
}

// In SQL: hears of each row that goes, or gets another state; true.
void StateFile::replaced(sqlite3_context* context, int /*count*/, sqlite3_value** arguments) {
  Totals& added = static_cast<StateFile*>(sqlite3_user_data(context))->added_;
  --added.counters;
  added.sum -= sqlite3_value_int64(arguments[0]);
  sqlite3_result_int(context, 1);
}

StateFile::Result<void> StateFile::check_schema() {
  const auto application = number("PRAGMA application_id");
  const auto version = number("PRAGMA user_version");
  if (!application) return tl::unexpected(application.error());
  if (!version) return tl::unexpected(version.error());
  const auto unusable = [&](std::string_view why) {
    return tl::unexpected(Failure{fmt::format("{}: {}", path_, why), true});
  };
  if (*application != kApplication) return unusable("is not a replygate state file");
  if (*version < 1 || *version > kVersion) return unusable("is of another version of replygate");
  for (auto step = static_cast<std::size_t>(*version); step < kMigrations.size(); ++step) {
    const std::string sql =
        fmt::format("BEGIN IMMEDIATE;{}PRAGMA user_version = {}; COMMIT", kMigrations[step], step + 1);
    if (auto r = execute(sql.c_str()); !r) return r;
  }
  const auto all = statement(kAllSql);
  if (!all) return tl::unexpected(all.error());
  if (sqlite3_step(all->get()) != SQLITE_ROW) return tl::unexpected(failure("cannot be read"));
  if (sqlite::column(all->get(), 0) != expected_schema())
    return unusable("its tables are not those that replygate makes");
  return {};
}

StateFile::Result<void> StateFile::read_secret() {
  const auto query = statement("SELECT value, checksum FROM meta WHERE name = 'secret'");
  if (!query) return tl::unexpected(query.error());
  const int status = sqlite3_step(query->get());
  if (status != SQLITE_ROW && status != SQLITE_DONE) return tl::unexpected(failure("cannot be read"));
  const bool found = status == SQLITE_ROW;
  const std::string_view value = found ? sqlite::octets(query->get(), 0) : std::string_view();
  if (value.size() != secret_.size() || checksum("secret", value) != sqlite3_column_int64(query->get(), 1)) {
    return tl::unexpected(Failure{fmt::format("{}: the key of its counters is damaged", path_), true});
  }
  std::memcpy(secret_.data(), value.data(), secret_.size());
  return {};
}

std::int64_t StateFile::expected_counters() {
  // A row is a key of 16 octets, a state of 10 or more, and what SQLite needs.
  constexpr const char* kSql =
      "SELECT min(counters, page_count * page_size / 32) FROM totals, pragma_page_count, pragma_page_size";
  return number(kSql).value_or(0);
}

StateFile::Result<StateFile::Content> StateFile::read(
    const std::function<bool(const CounterKey& key, std::string_view state)>& receive) {
  const auto query = statement("SELECT key, state, checksum FROM counters");
  if (!query) return tl::unexpected(query.error());
  Content content{.log_missing = log_missing_};
  std::int64_t sum = 0;
  int status = sqlite3_step(query->get());
  for (; status == SQLITE_ROW; status = sqlite3_step(query->get())) {
    const std::string_view octets = sqlite::octets(query->get(), 0);
    const std::string_view state = sqlite::octets(query->get(), 1);
    const std::int64_t stored = sqlite3_column_int64(query->get(), 2);
    CounterKey key{};
    if (octets.size() == sizeof key) std::memcpy(key.data(), octets.data(), sizeof key);
    sum += stored;
    const bool sound = octets.size() == sizeof key && checksum(octets, state) == stored && receive(key, state);
    ++(sound ? content.counters : content.damaged);
  }
  if (status != SQLITE_DONE && !sqlite::is_unusable(status)) return tl::unexpected(failure("cannot be read"));
  const auto counters = number("SELECT counters FROM totals");
  const auto total = number("SELECT sum FROM totals");
  const std::int64_t seen = content.counters + content.damaged;
  if (status != SQLITE_DONE || !counters || !total) {
    content.missing = std::max<std::int64_t>(counters.value_or(0) - seen, 1);
  } else if (*counters != seen || *total != sum) {
    content.missing = std::max<std::int64_t>(*counters - seen, 1);
  }
  return content;
}

bool StateFile::apply(const MemoryStore::Change& change) {
  const std::string_view key = octets_of(change.key);
  if (change.state.empty()) {
    sqlite::bind_octets(remove_.get(), 1, key);
    return sqlite::run(remove_.get());
  }
  const std::int64_t sum = checksum(key, change.state);
  sqlite::bind_octets(put_.get(), 1, key);
  sqlite::bind_octets(put_.get(), 2, change.state);
  sqlite3_bind_int64(put_.get(), 3, sum);
  ++added_.counters;
  added_.sum += sum;
  return sqlite::run(put_.get());
}

bool StateFile::apply_all(std::span<const MemoryStore::Change* const> changes) {
  added_ = {};
  if (!std::ranges::all_of(changes, [this](const MemoryStore::Change* change) { return apply(*change); })) return false;
  sqlite3_bind_int64(add_up_.get(), 1, added_.counters);
  sqlite3_bind_int64(add_up_.get(), 2, added_.sum);
  return sqlite::run(add_up_.get());
}

StateFile::Result<void> StateFile::write(const std::vector<MemoryStore::Change>& changes) {
  std::vector<const MemoryStore::Change*> sorted;  // so that each page is looked for, read and changed once
  sorted.reserve(changes.size());
  for (const MemoryStore::Change& change : changes) sorted.push_back(&change);
  std::ranges::stable_sort(sorted, {}, [](const MemoryStore::Change* change) { return octets_of(change->key); });
  if (auto r = execute("BEGIN IMMEDIATE"); !r) return r;
  if (apply_all(sorted) && sqlite3_exec(db_.get(), "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  Failure reason = failure("cannot be written");
  sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return tl::unexpected(std::move(reason));
}

// What cannot be looked at is not gone.
std::optional<bool> StateFile::in_place(std::string& why) {
  struct stat s{};
  struct stat log{};
  const bool there = ::stat(path_.c_str(), &s) == 0;
  if (!there && errno != ENOENT && errno != ENOTDIR) {
    why = fmt::format("{}: cannot be looked at: {}", path_, std::generic_category().message(errno));
    return std::nullopt;
  }
  const bool logged = ::stat((path_ + "-wal").c_str(), &log) == 0;
  const bool log_lost = log_inode_ != 0 && (!logged || log.st_ino != log_inode_);
  if (!there || s.st_ino != inode_ || s.st_size < size_ || log_lost) return false;
  size_ = s.st_size;
  if (logged) log_inode_ = log.st_ino;
  return true;
}

StateFile::~StateFile() {
  if (put_) sqlite3_exec(db_.get(), "UPDATE totals SET open = 0", nullptr, nullptr, nullptr);
}

namespace {

constexpr std::size_t kMostAside = 10;

// A disk that damages files again and again must not be filled with them.
void forget_old_ones(const std::string& path) {
  std::string why;
  const auto all = read_source({DataSource::Kind::glob, path + ".unusable-*", ""}, why);
  std::vector<std::string> names = lines_of(all.value_or(""));
  std::erase_if(names, [](const std::string& name) { return name.ends_with("-wal") || name.ends_with("-shm"); });
  for (std::size_t i = 0; i + kMostAside < names.size(); ++i) {
    for (const char* part : {"", "-wal", "-shm"}) std::remove((names[i] + part).c_str());
  }
}

}  // namespace

tl::expected<std::string, std::string> StateFile::set_aside(const std::string& path) {
  const std::string stem = fmt::format("{}.unusable-{:%Y%m%dT%H%M%SZ}", path, fmt::gmtime(std::time(nullptr)));
  std::string name = stem;
  for (int i = 2; look_for(name) == Presence::present; ++i) name = fmt::format("{}.{}", stem, i);
  for (const char* part : {"", "-wal", "-shm"}) {
    if (std::rename((path + part).c_str(), (name + part).c_str()) == 0 || errno == ENOENT) continue;
    return tl::unexpected(
        fmt::format("{}: cannot be renamed: {}", path + part, std::generic_category().message(errno)));
  }
  forget_old_ones(path);
  return name;
}

}  // namespace replygate

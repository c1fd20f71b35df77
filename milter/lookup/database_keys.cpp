#include "milter/lookup/database_keys.h"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#ifdef REPLYGATE_CDB
#include <cdb.h>
#endif

#include "milter/lookup/sqlite.h"

namespace replygate {
namespace {

// One line for one row, whatever a value has in it.
void append_value(std::string& text, std::string value) {
  if (value.ends_with('\0')) value.pop_back();  // Postfix may write the end of a string into its maps
  std::ranges::replace_if(value, [](char c) { return c == '\n' || c == '\r' || c == '\t' || c == '\0'; }, ' ');
  text += value;
}

struct CloseEnvironment {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
struct AbortTransaction {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};

}  // namespace

std::optional<std::string> sqlite_rows(const DataSource& source, std::string& why) {
  const auto db = sqlite::open(source.path, why);
  if (!db) return std::nullopt;
  const auto statement = sqlite::prepare(db.get(), source.query, why);
  if (!statement) return std::nullopt;
  std::string text;
  for (;;) {
    const int status = sqlite3_step(statement.get());
    if (status == SQLITE_DONE) return text;
    if (status != SQLITE_ROW) {
      why = sqlite3_errmsg(db.get());
      return std::nullopt;
    }
    for (int i = 0; i < sqlite3_column_count(statement.get()); ++i) {
      if (i > 0) text += '\t';
      append_value(text, sqlite::column(statement.get(), i));
    }
    text += '\n';
  }
}

#ifdef REPLYGATE_CDB
namespace {

class Cdb {
 public:
  explicit Cdb(int fd) : fd_(fd), well_(fd >= 0 && cdb_init(&cdb_, fd) == 0) {}
  ~Cdb() {
    if (well_) cdb_free(&cdb_);
    if (fd_ >= 0) ::close(fd_);
  }
  Cdb(const Cdb&) = delete;
  Cdb& operator=(const Cdb&) = delete;

  bool well() const { return well_; }
  struct cdb& get() { return cdb_; }

 private:
  int fd_;
  struct cdb cdb_{};
  bool well_;
};

}  // namespace

std::optional<std::string> cdb_keys(const DataSource& source, std::string& why) {
  const int fd = ::open(source.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) why = std::generic_category().message(errno);
  Cdb cdb(fd);
  if (!cdb.well()) {
    if (fd >= 0) why = "no cdb file";
    return std::nullopt;
  }
  unsigned position = 0;
  cdb_seqinit(&position, &cdb.get());
  std::string text;
  while (cdb_seqnext(&position, &cdb.get()) > 0) {
    const auto* key = static_cast<const char*>(cdb_getkey(&cdb.get()));
    if (key != nullptr) append_value(text, std::string(key, cdb_keylen(&cdb.get())));
    text += '\n';
  }
  return text;
}
#else
std::optional<std::string> cdb_keys(const DataSource&, std::string& why) {
  why = "this build of replygate cannot read cdb files; use lmdb or a text file";
  return std::nullopt;
}
#endif

std::optional<std::string> lmdb_keys(const DataSource& source, std::string& why) {
  const auto failed = [&](int status) {
    why = mdb_strerror(status);
    return std::nullopt;
  };
  MDB_env* raw_env = nullptr;
  if (const int status = mdb_env_create(&raw_env); status != 0) return failed(status);
  const std::unique_ptr<MDB_env, CloseEnvironment> env(raw_env);
  constexpr unsigned kFlags = MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK;
  if (const int status = mdb_env_open(raw_env, source.path.c_str(), kFlags, 0); status != 0) return failed(status);
  MDB_txn* raw_txn = nullptr;
  if (const int status = mdb_txn_begin(raw_env, nullptr, MDB_RDONLY, &raw_txn); status != 0) return failed(status);
  const std::unique_ptr<MDB_txn, AbortTransaction> txn(raw_txn);
  MDB_dbi dbi = 0;
  if (const int status = mdb_dbi_open(raw_txn, nullptr, 0, &dbi); status != 0) return failed(status);
  MDB_cursor* raw_cursor = nullptr;
  if (const int status = mdb_cursor_open(raw_txn, dbi, &raw_cursor); status != 0) return failed(status);
  const std::unique_ptr<MDB_cursor, CloseCursor> cursor(raw_cursor);
  std::string text;
  MDB_val key{};
  MDB_val value{};
  while (mdb_cursor_get(raw_cursor, &key, &value, MDB_NEXT) == 0) {
    append_value(text, std::string(static_cast<const char*>(key.mv_data), key.mv_size));
    text += '\n';
  }
  return text;
}

}  // namespace replygate

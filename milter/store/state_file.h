#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/lookup/sqlite.h"
#include "policy/count/store_memory.h"

namespace replygate {

// The counters of one host in a file of SQLite, each with a checksum of its own. Used by one thread at a time.
class StateFile {
 public:
  struct Failure {
    std::string why;
    bool unusable = false;  // what is there is no state that this version can read; else it may be well another time
  };
  using Secret = MemoryStore::Secret;
  template <typename T>
  using Result = tl::expected<T, Failure>;

  // Creates it where there is none, with `secret`; an existing one has its own.
  static Result<std::unique_ptr<StateFile>> open(const std::string& path, const Secret& secret);
  ~StateFile();  // marks it as closed in order
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  const Secret& secret() const { return secret_; }

  struct Content {
    std::int64_t counters = 0;
    std::int64_t damaged = 0;  // whose checksum is wrong; they are left out
    std::int64_t missing = 0;  // that should be there
    bool log_missing = false;  // it was not closed in order, and what it had not yet taken over is gone

    bool sound() const { return damaged == 0 && missing == 0; }
  };
  std::int64_t expected_counters();  // about; never more than its size has room for
  // Hands over each sound counter; false where the receiver can make nothing of it, which counts as damaged.
  Result<Content> read(const std::function<bool(const CounterKey& key, std::string_view state)>& receive);

  // On disk once it returns; all of them or none.
  Result<void> write(const std::vector<MemoryStore::Change>& changes);

  // The file and its log are still what was opened; nothing where that cannot be told, with the reason in `why`.
  std::optional<bool> in_place(std::string& why);

  // Gives a file, and what belongs to it, a name that says since when it is out of use; gives that name.
  static tl::expected<std::string, std::string> set_aside(const std::string& path);

 private:
  explicit StateFile(std::string path) : path_(std::move(path)) {}

  Result<void> prepare(const Secret& secret, bool log_was_there);
  Result<void> check_schema();
  Result<void> read_secret();
  Result<void> execute(const char* sql);
  Result<std::int64_t> number(const char* sql);
  Result<sqlite::Statement> statement(const char* sql);
  Failure failure(std::string_view doing) const;
  Result<void> prepare_writing();
  static void replaced(sqlite3_context* context, int count, sqlite3_value** arguments);
  bool apply(const MemoryStore::Change& change);
  bool apply_all(std::span<const MemoryStore::Change* const> changes);

  std::string path_;
  std::uint64_t inode_ = 0;
  std::uint64_t log_inode_ = 0;  // 0: none was seen yet
  std::int64_t size_ = 0;        // the greatest so far: it never shrinks by itself
  sqlite::Database db_;
  sqlite::Statement put_;
  sqlite::Statement remove_;
  sqlite::Statement add_up_;
  struct Totals {
    std::int64_t counters = 0;
    std::int64_t sum = 0;  // of the checksums
  };
  Totals added_;  // by the transaction under way
  Secret secret_{};
  bool log_missing_ = false;
};

}  // namespace replygate

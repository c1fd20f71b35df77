#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "milter/log/history_run.h"
#include "milter/lookup/sqlite.h"

namespace replygate {

// The sorted runs of one file of the history. Of sixteen that are about as long one is made, so that each place is
// written but a few times, and a word is looked for in few runs. One thread; in a transaction of its owner's, who asks
// SQLite for the reason of what is false.
class HistoryIndex {
 public:
  static constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, level INTEGER NOT NULL, places INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS page (id INTEGER PRIMARY KEY, places BLOB NOT NULL) STRICT;
)";

  // Of a file with the schema; outlived by the database.
  bool open(sqlite3* db);
  // A run of its own; `places` are sorted by it.
  bool add(std::vector<WordPlace>& places);
  bool must_merge() const;
  bool merge();
  // As few runs as a bounded time allows: of a file that has all that it will have.
  bool merge_all();

  // Numbers of the blocks that have a word, or one whose hash is the same; the largest first.
  static std::vector<std::uint32_t> find(sqlite3* db, std::uint32_t hash);

 private:
  struct Run {
    std::int64_t level = 0;
    std::int64_t places = 0;
  };
  using Runs = std::map<std::int64_t, Run>;  // by id

  bool write(const std::vector<WordPlace>& places, RunPages& pages);
  RunPages pages_of(std::int64_t run);
  bool note(std::int64_t run, const Run& what);
  bool forget(const std::vector<std::int64_t>& runs);
  bool merge(const std::vector<std::int64_t>& runs, std::int64_t level);
  std::vector<std::int64_t> full_level() const;

  sqlite3* db_ = nullptr;
  sqlite::Statement add_page_;
  Runs runs_;
  std::int64_t last_ = 0;
  std::vector<WordPlace> places_;
  std::vector<WordPlace> spare_;
};

}  // namespace replygate

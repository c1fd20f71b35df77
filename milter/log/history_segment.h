#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/lookup/sqlite.h"
#include "policy/base/time.h"

namespace replygate {

// One SQLite file of the history: records, and the words by which they are found, as 64-bit hashes. One thread.
class HistorySegment {
 public:
  struct Entry {
    Instant time;
    std::vector<std::int64_t> words;
    std::string_view json;
  };

  struct Failure {
    std::string why;       // for people
    bool damaged = false;  // what is there is no history that can be used; else it may be well another time
  };
  // Opens or makes it; mode 0600.
  static tl::expected<std::unique_ptr<HistorySegment>, Failure> open(const std::string& path);

  // All or none.
  tl::expected<void, std::string> add(const std::vector<Entry>& entries);
  std::int64_t records() const { return records_; }
  std::int64_t octets() const { return octets_; }  // of what it holds, roughly
  Instant first() const { return first_; }
  // What is written goes to the files at its path: nobody has removed or exchanged one of them.
  bool in_place() const;

  // Reads a file that may be written at the same time; newest first. A file that cannot be read has nothing.
  static std::vector<std::string> find(const std::string& path, std::int64_t word, std::size_t most);
  static Instant last_change(const std::string& path);
  static std::int64_t octets_of(const std::string& path);  // on disk

  static std::int64_t hash(std::string_view word);  // letter case is ignored

 private:
  HistorySegment(sqlite::Database db, std::string path) : db_(std::move(db)), path_(std::move(path)) {}
  tl::expected<void, std::string> execute(const char* sql);
  tl::expected<void, std::string> insert(const Entry& entry);
  std::string trouble() const;
  Failure failure(const std::string& path) const;

  sqlite::Database db_;
  std::string path_;
  std::string files_;  // which ones are open
  sqlite::Statement add_record_;
  sqlite::Statement add_word_;
  std::int64_t records_ = 0;
  std::int64_t octets_ = 0;
  Instant first_{};
};

}  // namespace replygate

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/log/history_index.h"
#include "milter/log/history_press.h"
#include "milter/log/history_queue.h"
#include "milter/log/history_words.h"
#include "milter/lookup/sqlite.h"
#include "policy/base/time.h"

namespace replygate {

// One SQLite file of the history: blocks of records that are pressed together, an index of the words by which they are
// found, and the last records, which are no full block yet, as they are. One thread.
class HistorySegment {
 public:
  struct Failure {
    enum class Kind : std::uint8_t {
      passing,  // it may be well another time
      damaged,  // what is there is no history that can be used
      foreign,  // of another version, to be read alone
    };
    std::string why;  // for people
    Kind kind = Kind::passing;
  };
  // Opens or makes it; mode 0600.
  static tl::expected<std::unique_ptr<HistorySegment>, Failure> open(const std::string& path);

  // All or none; texts may be taken out of the blocks. Behind a failure it is of no use any more.
  tl::expected<void, std::string> add(std::vector<HistoryBlock>& blocks);
  // Brings what was added into the form in which it is found soonest, for a bounded time.
  tl::expected<void, std::string> tidy();
  // Nothing more will be added.
  tl::expected<void, std::string> finish();

  std::int64_t records() const { return records_; }
  std::int64_t octets() const { return octets_; }  // of its file, without what is being written
  Instant first() const { return first_; }         // when the first record came
  // What is written goes to the files at its path: nobody has removed or exchanged one of them.
  bool in_place() const;

  static Instant last_change(const std::string& path);
  static std::int64_t octets_of(const std::string& path);  // on disk

 private:
  HistorySegment(sqlite::Database db, std::string path) : db_(std::move(db)), path_(std::move(path)) {}
  bool make();
  bool load();
  bool load_tail();
  bool prepare();
  bool execute(const char* sql);
  bool transaction(const std::function<bool()>& work);
  bool noted(bool good);  // the reason, if it is not good
  bool take(HistoryBlock& block);
  bool write_tail(std::string_view lines, const std::vector<std::uint32_t>& hashes);
  bool write_block();
  bool write_index();
  bool write_state();
  tl::expected<void, std::string> done(bool good) const;
  Failure failure(const std::string& path) const;

  sqlite::Database db_;
  std::string path_;
  std::string files_;  // which ones are open
  std::string why_;    // the last failure
  int status_ = 0;
  sqlite::Statement add_block_;
  sqlite::Statement add_tail_;
  sqlite::Statement set_state_;
  sqlite::Statement pages_;
  HistoryIndex index_;
  Press press_;
  WordKey key_{};
  // The records behind the last block.
  std::string tail_;
  std::vector<std::uint32_t> tail_hashes_;
  bool tail_written_ = false;
  std::vector<WordPlace> places_;  // of blocks that the index does not have yet
  std::uint32_t last_block_ = 0;
  std::int64_t records_ = 0;
  std::int64_t octets_ = 0;
  Instant first_{};
};

// Records with a word, `most` at most, in files of any version that may be written at the same time: of the first file
// first, and of each the newest first. A file that cannot be read has none. Any thread.
std::vector<std::string> find_in_segments(const std::vector<std::string>& paths, std::string_view word,
                                          std::size_t most);

}  // namespace replygate

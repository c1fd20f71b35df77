#pragma once

#include <sqlite3.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace replygate::test {

// SQLite's files, as a host in trouble has them: while it lives, every database is opened through it, and each call
// that asks the disk for something may fail or hang. Any thread; databases opened through it are closed before it goes.
class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  // From the `first` call from now on (1: the next one) `count` calls fail with a code of SQLite.
  void fail(int code, std::int64_t first, std::int64_t count);
  void mend() { fail(SQLITE_OK, 0, 0); }
  std::int64_t calls() const;
  // Calls that bring something to disk wait until they may go on.
  void hang(bool on);

  // Files of `folder` are on the disk whose power will be cut. Before they are opened.
  void record(std::string folder);
  // Keeps what would be on disk if the power were cut at the `call`-th call from now on, and then calls `cut`, which
  // must not use files.
  void cut_power(std::int64_t call, std::function<void()> cut);
  bool was_cut() const;
  // Writes it into a folder: all that was brought to disk, and of what was only written some sectors, as `random` says.
  void write_remains(const std::string& folder, std::mt19937_64& random) const;

 private:
  struct File;
  struct Methods;
  struct Change {
    std::int64_t at = 0;
    std::string octets;
    bool truncates = false;  // to `at`
  };
  struct Image {
    std::string synced;
    std::vector<Change> written;  // since then, in order
  };
  using Disk = std::map<std::string, Image>;  // by path

  static void apply(const Change& change, std::string& content);
  void note(const std::string& path, Change change);

  int ask(int code_of_kind);  // what the call that is made now comes to; `code_of_kind` where a code fits no such call
  void wait();
  bool records(const std::string& path) const { return !recorded_.empty() && path.starts_with(recorded_); }
  void note_sync(const std::string& path);
  void note_open(const std::string& path);
  void note_removal(const std::string& path);

  sqlite3_vfs* base_;
  sqlite3_vfs vfs_;
  mutable std::mutex mutex_;
  std::condition_variable go_on_;
  // Guarded by mutex_.
  std::int64_t calls_ = 0;
  std::int64_t first_ = 0;
  std::int64_t count_ = 0;
  int code_ = SQLITE_OK;
  bool hanging_ = false;
  std::string recorded_;
  Disk disk_;
  Disk remains_;
  std::int64_t cut_at_ = 0;
  std::function<void()> on_cut_;
  bool was_cut_ = false;
};

}  // namespace replygate::test

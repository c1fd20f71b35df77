#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "milter/log/backlog.h"

namespace replygate {

// Writes lines to a descriptor, or to a file that somebody else may rotate: one that was moved away or removed is
// opened anew within a second. write() never waits; entries stay in order, and each is there as a whole or not at all.
// Any thread.
class Writer {
 public:
  // Takes `fd` over if `owns`.
  Writer(int fd, bool owns, std::string name);
  // A file, created with mode 0640 whatever the umask; on failure the reason, for people.
  static tl::expected<std::unique_ptr<Writer>, std::string> to_file(const std::string& path);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();  // closes

  // Writes what is left, for at most two seconds; what is written later is dropped.
  void close();

  void write(std::string lines, std::int64_t records = 1) { backlog_.add(std::move(lines), records); }  // with their LF
  std::int64_t dropped() const { return backlog_.dropped(); }
  const std::string& name() const { return backlog_.name(); }
  std::string trouble() const;  // why nobody will find what is written; "": all is well

 private:
  bool deliver(const Backlog::Entries& entries);
  bool write_all(std::string_view text);
  void take_back(std::string_view written);
  bool follow_rotation();  // false: there is no file to write to
  void note_trouble(const std::string& trouble, int failure);
  bool has_room_again() const;

  // Of the backlog's thread, once it runs.
  int fd_;
  bool owns_;
  std::atomic<bool> rotates_{false};
  mutable std::mutex mutex_;
  std::string trouble_;        // guarded by mutex_
  int failure_ = 0;            // so is it: the error of the last write, in errno's terms; 0: it is no write that fails
  std::size_t unwritten_ = 0;  // so is it: octets that had no room
  bool torn_ = false;          // what was written last is no whole line

  Backlog backlog_;
};

}  // namespace replygate

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "policy/base/time.h"
#include "policy/remote/log_prefix.h"

struct sd_journal;

namespace replygate {

// What mail servers write to systemd's journal: entries of syslog's facility "mail". One thread.
class JournalLog {
 public:
  struct Entry {
    Instant time;
    LogPrefix line;  // valid until the next call
  };

  // Goes on behind the entry of `cursor`, or begins with the oldest one for "". `folder`: of journal files; "" is this
  // host's journal. On failure the reason, for people.
  static tl::expected<std::unique_ptr<JournalLog>, std::string> open(const std::string& cursor,
                                                                     const std::string& folder = "");

  // Begins with what comes from now on.
  static tl::expected<std::unique_ptr<JournalLog>, std::string> open_at_end(const std::string& folder = "");

  // Finds out about files of the journal that came and went.
  void look_again();
  // It has found the entry of the cursor.
  bool goes_on() const { return goes_on_; }
  // False where no file of it may be read.
  bool is_readable() const;

  // Nothing: there is none just now.
  std::optional<Entry> next();
  // Of the entry that was read last; "" where none was.
  std::string cursor() const;

 private:
  struct Close {
    void operator()(sd_journal* journal) const;
  };
  JournalLog() = default;
  static tl::expected<std::unique_ptr<JournalLog>, std::string> open_unplaced(const std::string& folder);
  const std::string& field(const char* name, std::string& into) const;

  std::unique_ptr<sd_journal, Close> journal_;
  std::string folder_;  // "": this host's journal
  bool at_entry_ = false;
  bool goes_on_ = false;
  std::string program_;
  std::string pid_;
  std::string message_;
};

}  // namespace replygate

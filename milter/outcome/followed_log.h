#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/descriptor.h"
#include "milter/outcome/line_cutter.h"

namespace replygate {

// How far a log that is still written has been read: in which file, and up to where. Kept together with what was made
// of its lines, it loses and doubles none.
struct LogPosition {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t offset = 0;  // behind the last whole line
  std::uint64_t seal = 0;    // of the octets before the offset, by which they are known again

  std::string text() const;
  static std::optional<LogPosition> parse(std::string_view text);
  bool operator==(const LogPosition&) const = default;
};

// Follows a log across rotation, by renaming or by copytruncate, and across restarts. Files that were compressed in the
// meantime are not read. One thread.
class FollowedLog {
 public:
  // Goes on at a position, in whichever file of the log's folder has it. Without one it begins at the log's end, or at
  // the begin of a log that comes later.
  FollowedLog(std::string path, std::optional<LogPosition> position);

  // Hands on whole lines that came, some of one file. True: there may be more at once.
  template <typename Take>
  bool read(Take&& take) {
    const std::string_view octets = next_block();
    if (octets.empty()) return next_file();
    LineCutter().cut(octets, take);
    return true;
  }

  // It has found the position that it was to go on at.
  bool goes_on() const { return goes_on_; }
  // Behind the lines that were handed on; nothing before the first look at a file.
  const std::optional<LogPosition>& position() const { return position_; }
  // What was lost or cannot be read; "" where all is well. Told until the next reading.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Sibling {
    std::string path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t changed = 0;  // nanoseconds
    std::int64_t moved = 0;    // likewise: its name, its rights, or itself
    std::uint64_t size = 0;
  };
  static std::optional<Sibling> look_at(const std::string& path);
  std::vector<Sibling> siblings() const;  // the log's files, the oldest first, the log itself last

  std::string_view lines_here();
  std::string_view next_block();
  bool is_whole(std::uint64_t size) const;
  bool next_file();
  bool is_open(const Sibling& file) const;
  bool open(const Sibling& file, std::uint64_t offset);
  bool open_copy();  // that has what was read, and maybe more
  void find_again();
  std::uint64_t seal_of(int file, std::uint64_t offset) const;

  std::string path_;
  std::unique_ptr<Descriptor> file_;
  std::optional<LogPosition> position_;
  std::string block_;
  std::string trouble_;
  bool goes_on_ = false;
};

}  // namespace replygate

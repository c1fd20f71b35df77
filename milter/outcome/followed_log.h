#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/descriptor.h"
#include "milter/outcome/compressed_log.h"
#include "milter/outcome/line_cutter.h"
#include "milter/outcome/log_position.h"
#include "milter/outcome/rotated_files.h"

namespace replygate {

// Follows a log across rotation, by renaming or by copytruncate, and across restarts. Of files that were compressed in
// the meantime the rest is read, once. It stays behind the line that it has read last, in whichever file that is by
// now: at the begin of a file it stands only where there was no line before. One thread.
class FollowedLog {
 public:
  // Goes on at a position, in whichever file of the log's folder has it, compressed or not. If none has, it begins with
  // the oldest plain file that was written later. Without a position it begins behind what is there, or at the begin of
  // a log that comes later. What cannot be reached yet is looked for until it can be.
  FollowedLog(std::string path, std::optional<LogPosition> position);

  // Hands on whole lines that came, some of one file. True: there may be more at once.
  template <typename Take>
  bool read(Take&& take) {
    const std::string_view octets = next_block();
    LineCutter().cut(octets, take);
    return !octets.empty();
  }

  // It has found the position that it was to go on at.
  bool goes_on() const { return goes_on_; }
  // It could look at the log, and the position was in none of its files.
  bool is_lost() const { return is_lost_; }
  // Which lines may be missing where a position was lost, and where reading went on; "" where none was.
  const std::string& loss() const { return loss_; }
  // Behind the lines that were handed on; nothing before the first look at a file.
  const std::optional<LogPosition>& position() const { return position_; }
  // What the last reading has lost or could not read, or what is wrong with the log now; "" where all is well.
  std::string trouble() const;

 private:
  enum class Found : std::uint8_t { lines, nothing, not_now };
  // A file that begins with whole lines; they are in ahead_.
  struct Ahead {
    Found found = Found::nothing;
    std::unique_ptr<Descriptor> file = nullptr;
    std::string_view lines = {};
  };

  std::string_view next_block();
  std::string_view lines_here();
  void pass(std::string_view lines);
  bool is_whole(std::uint64_t size) const;
  bool next_file();
  bool next_behind_rest();
  bool begin_again();
  bool next_of(std::int64_t changed);
  Found look_before();
  bool is_open(const RotatedFile& file) const;
  std::unique_ptr<Descriptor> opened(const RotatedFile& file);
  bool open(const RotatedFile& file, std::uint64_t offset);
  Ahead look_into(const RotatedFile& file);
  void go_to(const RotatedFile& file, Ahead&& ahead);
  // At its begin, where it has whole lines, which are in lines_ then. Else nothing changes.
  Found begin(const RotatedFile& file);
  Found begin_in(const std::vector<RotatedFile>& files, const LogPosition& was);
  Found begin_compressed(const RotatedFile& file);
  Found begin_compressed_behind(const RotatedFile& here);
  Found begin_newer_compressed(std::int64_t changed);
  // That has what was read, and maybe more.
  Found open_copy();
  Found open_rest();
  bool was_looked_into(const RotatedFile& file) const;
  Found rest_before_others(std::int64_t changed);
  Found begin_at_end(const std::vector<RotatedFile>& files);
  Found find_begin();
  Found find_position(const LogPosition& was);
  void find_again();
  void begin_elsewhere(const LogPosition& lost);
  void note_loss(const LogPosition& lost, std::string_view place);

  std::string path_;
  // What is read: one of them, or none.
  std::unique_ptr<Descriptor> file_;
  std::unique_ptr<CompressedLog> rest_;
  std::optional<LogPosition> position_;
  LogTail tail_;  // before the position
  std::string block_;
  std::string ahead_;       // the first block of another file
  std::string_view lines_;  // of one of both
  std::string trouble_;
  std::string loss_;
  std::vector<RotatedFile> looked_into_;  // compressed ones that do not have the position
  std::optional<LogFolder> without_;      // the folder, where it was seen without the log
  bool goes_on_ = false;
  bool is_lost_ = false;
  bool first_ = false;  // there was no line before the open file's begin
};

}  // namespace replygate

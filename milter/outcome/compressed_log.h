#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "milter/descriptor.h"
#include "milter/outcome/log_position.h"
#include "milter/outcome/past_log.h"
#include "milter/outcome/rotated_files.h"

namespace replygate {

// A rotated file that was compressed before all of it was read. One thread.
class CompressedLog {
 public:
  // From its begin, or behind what was read of it when it was a plain file. Null: it does not have that, or cannot be
  // read so far. `file` is open on `rotated`.
  static std::unique_ptr<CompressedLog> open(std::unique_ptr<Descriptor> file, const RotatedFile& rotated);
  static std::unique_ptr<CompressedLog> open_behind(std::unique_ptr<Descriptor> file, const RotatedFile& rotated,
                                                    const LogPosition& position);

  // The whole lines that follow, some of them; "" at the end. They live until the next call.
  std::string_view lines();
  const RotatedFile& file() const { return rotated_; }
  const LogTail& tail() const { return tail_; }                   // of what was passed over
  const std::string& trouble() const { return log_->trouble(); }  // why it ended early; "" where it did not

 private:
  CompressedLog(std::unique_ptr<PastLog> log, RotatedFile rotated)
      : log_(std::move(log)), rotated_(std::move(rotated)) {}
  bool skip(std::uint64_t octets);

  std::unique_ptr<PastLog> log_;
  RotatedFile rotated_;
  LogTail tail_;
  std::string open_;  // what has no line's end yet
  std::string block_;
};

}  // namespace replygate

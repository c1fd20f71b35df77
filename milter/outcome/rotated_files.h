#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace replygate {

// A log, or a file that was rotated from it.
struct RotatedFile {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t changed = 0;  // nanoseconds
  std::int64_t moved = 0;    // likewise: its name, its rights, or itself
  std::uint64_t size = 0;
  std::string begins;  // the first octets, where times do not tell files apart
};

// Nothing: there is none, or no regular one.
std::optional<RotatedFile> rotated_file(const std::string& path);

// The files of a log that are not compressed, the oldest first, the log itself last. Nothing: they are being rotated,
// and one of them may have been missed.
std::optional<std::vector<RotatedFile>> rotated_files(const std::string& log);

// Nothing was rotated between the two looks, nor written but to the log itself.
bool are_same_rotations(const std::vector<RotatedFile>& one, const std::vector<RotatedFile>& other,
                        const std::string& log);

}  // namespace replygate

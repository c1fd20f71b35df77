#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/descriptor.h"

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
  bool compressed = false;
};

// A log's folder, by which one is known that was mounted in the meantime.
struct LogFolder {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool has_log = false;  // or a link in its place, or it cannot be looked at
};

// Of whatever has both numbers.
bool is_same_file(const auto& one, const auto& other) { return one.device == other.device && one.inode == other.inode; }

// The names, without their folder: "mail.log.1", "mail.log-20261129.gz" of "mail.log"; not "mail.info" of "mail".
bool is_rotation_of(std::string_view log, std::string_view name);

// "mail.log.2" of "mail.log.2.gz"; nothing where the name is not that of a compressed file.
std::optional<std::string_view> uncompressed_name(std::string_view name);

// Null, with errno: it cannot be opened, or is no regular file. A FIFO in its place keeps nobody waiting.
std::unique_ptr<Descriptor> open_regular(const std::string& path);

// An errno, or 0; and what it means, for people.
int try_to_open(const std::string& path);
std::string why_not_open(const std::string& path, int error);

// Nothing: there is none.
std::optional<LogFolder> look_at_folder(const std::string& log);

// When it was written last, in nanoseconds.
std::int64_t change_of(const struct stat& s);

// Nothing: there is none, or no regular one.
std::optional<RotatedFile> rotated_file(const std::string& path);

// The files of a log that are not compressed, the oldest first, the log itself last; each once, however many names it
// has. Nothing: they are being rotated, and one of them may have been missed.
std::optional<std::vector<RotatedFile>> rotated_files(const std::string& log);

// All of them that were written behind a rotated one, by their names as far as those tell, or else by their
// times; the oldest first, the log itself last. What is just being compressed comes as the plain file that it still is.
// Nothing: as above.
std::optional<std::vector<RotatedFile>> files_behind(const RotatedFile& rotated, const std::string& log);

// The same, whatever they are behind.
std::optional<std::vector<RotatedFile>> all_files(const std::string& log);

// The compressed ones, the oldest first. Nothing: as above.
std::optional<std::vector<RotatedFile>> compressed_files(const std::string& log);

// Nothing was rotated between the two looks, nor written but to the log itself.
bool are_same_rotations(const std::vector<RotatedFile>& one, const std::vector<RotatedFile>& other,
                        const std::string& log);

}  // namespace replygate

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace replygate {

// How far a log that is still written has been read: in which file, and up to where. Kept together with what was made
// of its lines, it loses and doubles none.
struct LogPosition {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t offset = 0;  // behind the last whole line
  std::uint64_t seal = 0;    // of the octets before the offset, by which they are known again
  std::int64_t changed = 0;  // when the log was written last, as it was read; nanoseconds, 0 where nobody knows

  std::string text() const;
  // Also what was kept before positions had a time.
  static std::optional<LogPosition> parse(std::string_view text);
  bool operator==(const LogPosition&) const = default;
};

constexpr std::size_t kSealed = 512;  // octets: some lines, with their times and ids
std::uint64_t seal_of_tail(std::string_view tail);

// The last octets of what was read, as many as are sealed.
class LogTail {
 public:
  LogTail() = default;
  explicit LogTail(std::string octets) : octets_(std::move(octets)) {}

  void add(std::string_view octets);
  std::uint64_t seal() const { return seal_of_tail(octets_); }

 private:
  std::string octets_;
};

}  // namespace replygate

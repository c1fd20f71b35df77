#include "milter/outcome/log_octets.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace replygate {

std::optional<std::string> tail_of(int file, std::uint64_t offset) {
  std::string octets(std::min<std::uint64_t>(offset, kSealed), '\0');
  const ssize_t read = ::pread(file, octets.data(), octets.size(), static_cast<off_t>(offset - octets.size()));
  return read == static_cast<ssize_t>(octets.size()) ? std::optional(std::move(octets)) : std::nullopt;
}

bool has_seal(int file, const LogPosition& position) {
  const auto tail = tail_of(file, position.offset);
  return tail && seal_of_tail(*tail) == position.seal;
}

std::string_view lines_at(int file, std::uint64_t offset, std::string& block) {
  const ssize_t read = ::pread(file, block.data(), block.size(), static_cast<off_t>(offset));
  if (read <= 0) return {};
  const std::string_view octets(block.data(), static_cast<std::size_t>(read));
  const std::size_t end = octets.rfind('\n');
  if (end == std::string_view::npos) return octets.size() == block.size() ? octets : std::string_view();
  return octets.substr(0, end + 1);
}

}  // namespace replygate

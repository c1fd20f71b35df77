#include "milter/outcome/log_position.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

namespace replygate {
namespace {

// A number, and the blank behind it.
template <typename Number>
bool take(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return true;
}

}  // namespace

std::string LogPosition::text() const { return fmt::format("{} {} {} {} {}", device, inode, offset, seal, changed); }

std::optional<LogPosition> LogPosition::parse(std::string_view text) {
  LogPosition position;
  for (std::uint64_t* number : {&position.device, &position.inode, &position.offset, &position.seal}) {
    if (!take(text, *number)) return std::nullopt;
  }
  if (!text.empty() && !take(text, position.changed)) return std::nullopt;
  return text.empty() ? std::optional(position) : std::nullopt;
}

// Not for secrets: FNV-1a.
std::uint64_t seal_of_tail(std::string_view tail) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : tail) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

void LogTail::add(std::string_view octets) {
  octets_ += octets.substr(octets.size() - std::min(octets.size(), kSealed));
  if (octets_.size() > kSealed) octets_.erase(0, octets_.size() - kSealed);
}

}  // namespace replygate

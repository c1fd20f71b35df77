#include "milter/door/wire/macros.h"

#include "milter/door/wire/arguments.h"
#include "milter/door/wire/protocol.h"

namespace replygate::wire {
namespace {

// MTAs write long names in braces, and may leave out those of short ones.
std::string_view bare(std::string_view name) {
  const bool braced = name.size() > 2 && name.front() == '{' && name.back() == '}';
  return braced ? name.substr(1, name.size() - 2) : name;
}

std::optional<std::string_view> find(std::string_view text, std::string_view name) {
  while (const auto key = take_string(text)) {
    const auto value = take_string(text);
    if (!value) break;
    if (bare(*key) == name) return *value;
  }
  return std::nullopt;
}

}  // namespace

MacroTable::Level MacroTable::level_of(char command) {
  switch (static_cast<Command>(command)) {
    case Command::connect: return kConnect;
    case Command::helo: return kHelo;
    case Command::mail: return kMail;
    case Command::rcpt: return kRcpt;
    case Command::data:
    case Command::header:
    case Command::end_of_headers:
    case Command::body:
    case Command::end_of_message: return kLater;
    default: return kLevels;
  }
}

void MacroTable::set(std::string_view data) {
  if (data.empty()) return;
  const Level level = level_of(data.front());
  if (level == kLevels) return;
  clear_from(level);
  texts_[level] = data.substr(1);
}

std::string_view MacroTable::get(std::string_view name) const {
  for (std::size_t level = kLevels; level-- > 0;) {
    if (const auto value = find(texts_[level], bare(name))) return *value;
  }
  return {};
}

void MacroTable::clear_from(std::size_t level) {
  for (; level < kLevels; ++level) texts_[level].clear();
}

std::size_t MacroTable::octets() const {
  std::size_t sum = 0;
  for (const std::string& text : texts_) sum += text.capacity();
  return sum;
}

}  // namespace replygate::wire

#include "milter/door/wire/macros.h"

#include <algorithm>

#include "milter/door/wire/arguments.h"
#include "milter/door/wire/protocol.h"

namespace replygate::wire {
namespace {

// MTAs write long names in braces, and may leave out those of short ones.
std::string_view bare(std::string_view name) {
  const bool braced = name.size() > 2 && name.front() == '{' && name.back() == '}';
  return braced ? name.substr(1, name.size() - 2) : name;
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
  std::string_view rest = texts_[level];
  for (std::size_t count = 0; count < kMost; ++count) {
    const auto name = take_string(rest);
    const auto value = take_string(rest);
    if (!name || !value) break;
    macros_.push_back({level, bare(*name), *value});
  }
}

std::string_view MacroTable::get(std::string_view name) const {
  const std::string_view wanted = bare(name);
  const auto it = std::find_if(macros_.rbegin(), macros_.rend(), [wanted](const Macro& macro) {
    return macro.name.size() == wanted.size() && macro.name.starts_with(wanted.front()) && macro.name == wanted;
  });
  return it == macros_.rend() ? std::string_view() : it->value;
}

void MacroTable::clear_from(std::size_t level) {
  while (!macros_.empty() && macros_.back().level >= level) macros_.pop_back();
  for (; level < kLevels; ++level) texts_[level].clear();
}

std::size_t MacroTable::octets() const {
  std::size_t sum = macros_.capacity() * sizeof(Macro);
  for (const std::string& text : texts_) sum += text.capacity();
  return sum;
}

}  // namespace replygate::wire

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
  Macros& macros = levels_[level];
  macros.text = data.substr(1);
  std::string_view rest = macros.text;
  while (macros.list.size() < kMost) {
    const auto name = take_string(rest);
    const auto value = take_string(rest);
    if (!name || !value) break;
    macros.list.push_back({bare(*name), *value});
  }
}

std::string_view MacroTable::get(std::string_view name) const {
  const std::string_view wanted = bare(name);
  for (std::size_t level = kLevels; level-- > 0;) {
    for (const Macro& macro : levels_[level].list) {
      if (macro.name == wanted) return macro.value;
    }
  }
  return {};
}

void MacroTable::clear_from(std::size_t level) {
  for (; level < kLevels; ++level) {
    levels_[level].text.clear();
    levels_[level].list.clear();
  }
}

std::size_t MacroTable::octets() const {
  std::size_t sum = 0;
  for (const Macros& macros : levels_) sum += macros.text.capacity() + macros.list.capacity() * sizeof(Macro);
  return sum;
}

}  // namespace replygate::wire

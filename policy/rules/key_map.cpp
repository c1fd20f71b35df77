#include "policy/rules/key_map.h"

#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestName = 255;

}  // namespace

std::string counted_name(std::string_view text) {
  const std::string name = folded(without_controls(std::string(trim(text))));
  return std::string(whole_characters(name, kLongestName));
}

std::optional<std::string> KeyMap::of(std::string_view key, Answers* answers) const {
  const std::string unknown = otherwise.value_or(std::string(key));
  if (live == nullptr) {
    const auto it = table.find(key);
    return it == table.end() ? unknown : it->second;
  }
  const LiveAnswer* answer = answers == nullptr ? nullptr : answers->find(*live, key);
  if (answer == nullptr || answer->state == LiveAnswer::State::untold) return std::nullopt;
  if (answer->state == LiveAnswer::State::none) return unknown;
  std::string said = counted_name(answer->text);
  if (!said.empty()) return said;
  answers->misread(*live, key);
  return std::nullopt;
}

}  // namespace replygate

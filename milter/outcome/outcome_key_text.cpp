#include "milter/outcome/outcome_key_text.h"

#include <charconv>
#include <optional>
#include <system_error>

namespace replygate {
namespace {

void append_counted(std::string& text, std::string_view part) {
  text += std::to_string(part.size());
  text += ':';
  text += part;
}

std::optional<std::string> take_counted(std::string_view& octets) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(octets.data(), octets.data() + octets.size(), size);
  const auto lead = static_cast<std::size_t>(end - octets.data()) + 1;
  if (error != std::errc() || lead > octets.size() || octets[lead - 1] != ':' || size > octets.size() - lead) {
    return std::nullopt;
  }
  std::string part(octets.substr(lead, size));
  octets.remove_prefix(lead + size);
  return part;
}

}  // namespace

std::string text_of(const std::vector<OutcomeKey>& keys) {
  std::string text;
  for (const OutcomeKey& key : keys) {
    append_counted(text, key.rule);
    append_counted(text, key.key);
  }
  return text;
}

std::vector<OutcomeKey> outcome_keys_in(std::string_view octets) {
  std::vector<OutcomeKey> keys;
  while (!octets.empty()) {
    auto rule = take_counted(octets);
    auto key = rule ? take_counted(octets) : std::nullopt;
    if (!key) return {};
    keys.push_back({*std::move(rule), *std::move(key)});
  }
  return keys;
}

}  // namespace replygate

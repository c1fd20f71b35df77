#include "milter/lookup/netstring.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostDigits = 6;

}  // namespace

std::string netstring(std::string_view text) { return fmt::format("{}:{},", text.size(), text); }

Netstring read_netstring(std::string_view octets, std::size_t longest) {
  const std::size_t colon = octets.substr(0, kMostDigits + 1).find(':');
  const std::string_view digits = octets.substr(0, std::min(colon, octets.size()));
  if (!std::ranges::all_of(digits, is_digit)) return {.state = Netstring::State::wrong};
  if (colon == std::string_view::npos) {
    return {.state = octets.size() > kMostDigits ? Netstring::State::wrong : Netstring::State::wanting};
  }
  std::size_t length = 0;
  for (const char c : digits) length = length * 10 + static_cast<std::size_t>(c - '0');
  if (digits.empty() || length > longest) return {.state = Netstring::State::wrong};
  const std::size_t whole = colon + 1 + length + 1;
  if (octets.size() < whole) return {};
  if (octets[whole - 1] != ',') return {.state = Netstring::State::wrong};
  return {.state = Netstring::State::whole, .text = octets.substr(colon + 1, length), .octets = whole};
}

LiveAnswer meaning_of_socketmap_reply(std::string_view reply, std::string& why) {
  const std::size_t blank = std::min(reply.find(' '), reply.size());
  const std::string_view word = reply.substr(0, blank);
  const std::string_view rest = trim(reply.substr(blank));
  if (word == "OK") return rest.empty() ? LiveAnswer::none() : LiveAnswer::found(std::string(rest));
  if (word == "NOTFOUND") return LiveAnswer::none();
  constexpr std::size_t kMostShown = 100;
  const bool failure = word == "TEMP" || word == "TIMEOUT" || word == "PERM";
  const std::string said = without_controls(std::string(reply.substr(0, kMostShown)));
  why = failure ? fmt::format("it says \"{}\"", said) : "what came is not an answer";
  return {};
}

}  // namespace replygate

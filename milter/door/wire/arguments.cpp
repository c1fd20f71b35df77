#include "milter/door/wire/arguments.h"

#include "milter/door/wire/packet.h"

namespace replygate::wire {
std::optional<Negotiation> parse_negotiation(std::string_view data) {
  if (data.size() < 12) return std::nullopt;
  return Negotiation{read_u32(data), read_u32(data.substr(4)), read_u32(data.substr(8))};
}

std::optional<std::string_view> take_string(std::string_view& data) {
  const std::size_t end = data.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view text = data.substr(0, end);
  data.remove_prefix(end + 1);
  return text;
}

std::optional<std::vector<std::string_view>> parse_strings(std::string_view data) {
  std::vector<std::string_view> strings;
  while (!data.empty()) {
    const auto text = take_string(data);
    if (!text) return std::nullopt;
    strings.push_back(*text);
  }
  if (strings.empty()) return std::nullopt;
  return strings;
}

std::optional<std::string_view> parse_first_string(std::string_view data) {
  const auto first = take_string(data);
  return data.empty() || data.ends_with('\0') ? first : std::nullopt;
}

std::optional<ConnectArguments> parse_connect(std::string_view data) {
  const auto host = take_string(data);
  if (!host || data.empty()) return std::nullopt;
  ConnectArguments arguments{.host = *host, .ip = std::nullopt};
  const char family = data.front();
  data.remove_prefix(1);
  if (family == 'U') return arguments;
  if (data.size() < 2) return std::nullopt;
  arguments.port = read_u16(data);
  data.remove_prefix(2);
  const auto address = take_string(data);
  if (!address) return std::nullopt;
  if (family == 'L') return arguments;
  if (family != '4' && family != '6') return std::nullopt;
  if ((family == '6') != (address->find(':') != std::string_view::npos)) return std::nullopt;
  arguments.ip = IpAddress::parse(*address);
  return arguments.ip ? std::optional(arguments) : std::nullopt;
}

}  // namespace replygate::wire

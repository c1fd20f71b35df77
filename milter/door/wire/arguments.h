#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/mail/ip.h"

// What the data of the MTA's packets says. Pure; nothing where the data breaks the protocol. Views point into the data.
namespace replygate::wire {

struct Negotiation {
  std::uint32_t version = 0;
  std::uint32_t actions = 0;
  std::uint32_t steps = 0;
};
// Octets behind the three numbers are passed over: later versions may have more to say.
std::optional<Negotiation> parse_negotiation(std::string_view data);

struct ConnectArguments {
  std::string_view host;
  std::optional<IpAddress> ip;  // nothing: a local socket, or a family that the MTA does not know
  std::uint16_t port = 0;
};
std::optional<ConnectArguments> parse_connect(std::string_view data);

// Strings that end with NUL each, at least one: the arguments of MAIL and RCPT, a greeting, a header.
std::optional<std::vector<std::string_view>> parse_strings(std::string_view data);
// The first of them.
std::optional<std::string_view> parse_first_string(std::string_view data);

// The first string of `data`, without its NUL; takes it off. Nothing where no NUL is left.
std::optional<std::string_view> take_string(std::string_view& data);

}  // namespace replygate::wire

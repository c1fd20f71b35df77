#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "milter/door/wire/protocol.h"
#include "policy/decide/session.h"
#include "policy/rules/policy.h"

// What the MTAs mean by the macros and arguments of their milter events, whichever engine takes them. Pure.
namespace replygate {

// What to wish for when the MTA negotiates (SMFIP_*): no events that no rule needs, no waiting where no rule answers.
std::uint32_t wanted_steps(const Needs& needs);
// What the policy may do to a message (SMFIF_*); an MTA that does not offer it cannot be served.
std::uint32_t wanted_actions(const Needs& needs);

// The macros to ask for.
struct MacroWish {
  wire::MacroStage stage;
  std::string_view names;  // separated by blanks
};
const std::vector<MacroWish>& macro_wishes(const Needs& needs);

// The macros that an event came with.
class MacroSource {
 public:
  MacroSource() = default;
  MacroSource(const MacroSource&) = default;
  MacroSource& operator=(const MacroSource&) = default;
  virtual ~MacroSource() = default;

  // "" where the MTA gave none. Long names in braces, as above. Good until the next event.
  virtual std::string_view get(std::string_view name) const = 0;
};

// The client as the MTA names it. Mail of sendmail(1) comes from Postfix as 127.0.0.1 without a port.
ConnectEvent connect_event(std::string_view host, const std::optional<IpAddress>& ip, std::uint16_t port,
                           const MacroSource& macros);

// `arguments`: the address, then ESMTP parameters.
MailEvent mail_event(std::span<const std::string_view> arguments, const MacroSource& macros);

// Tells the recipients that the MTA has refused itself from those that it routes. It shows the former only where that
// was negotiated (SMFIP_RCPT_REJ).
RcptEvent rcpt_event(std::string_view argument, const MacroSource& macros, bool shows_refused);

// What a header takes in the message, CRLF included. `leading_space`: the value still has the blank behind the colon.
std::int64_t header_octets(std::string_view name, std::string_view value, bool leading_space);

// The value of a header without the blank behind the colon, which MTAs hand over or not.
std::string_view header_value(std::string_view value);

// The value of a header to be added, as the MTA wants it. `leading_space`: it adds no blank by itself.
std::string added_value(std::string_view value, bool leading_space);

// The host argument of connect: both MTAs put an address without verified name in brackets.
std::string client_name(std::string_view host);

// A text of a reply as MTAs take it from a filter: '%' doubled, and cut between characters at the 980 octets that
// libmilter allows.
std::string reply_line(std::string_view text);

}  // namespace replygate

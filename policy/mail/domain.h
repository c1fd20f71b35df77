#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace replygate {

// The canonical form of a domain: ASCII lower case, IDNs as A-labels (IDNA2008 without compatibility mapping, so that
// no look-alike spelling becomes another domain), one trailing dot cut, address literals normalised
// ("[192.0.2.1]", "[ipv6:2001:db8::1]", IPv4-mapped as IPv4).
//
// Nothing for what no MTA could deliver to: empty labels, labels over 63 or names over 255 octets, bare or
// malformed addresses, characters outside letters, digits, '-', '_'. A non-ASCII name that IDNA refuses is kept
// byte for byte in lower case: it is a domain of its own, equal to nothing else.
std::optional<std::string> canonical_domain(std::string_view domain);

// A name in ASCII that is its own canonical form.
bool is_canonical_name(std::string_view domain);

}  // namespace replygate

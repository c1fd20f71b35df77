#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace replygate {

// A mailbox address in the one form under which it is matched, counted and recorded.
struct Address {
  enum class Form : std::uint8_t {
    null,       // the null reverse-path <>
    mailbox,    // local part and domain are set
    malformed,  // nothing that could be delivered to; local and domain are empty
  };

  Form form = Form::null;
  std::string full;    // "local@domain", lower case; a local part that needs quotes has them; "" unless a mailbox
  std::size_t at = 0;  // index of the '@' in `full`
  std::string bare;    // `full` without the tag of the local part; "" where it has none, or tags mean nothing here

  std::string_view local() const { return std::string_view(full).substr(0, at); }
  std::string_view domain() const { return form == Form::mailbox ? std::string_view(full).substr(at + 1) : ""; }
  std::string_view bare_local() const { return std::string_view(bare).substr(0, bare.rfind('@')); }
  bool operator==(const Address&) const = default;
};

// What the parser must know of the site. `is_local` says whether mail for a canonical domain is delivered here, so that
// an MTA would look into the local part for a route (user%other@ours, other!user@ours, "user@other"@ours).
struct AddressContext {
  std::string_view default_domain;  // canonical; completes an address without a domain
  std::function<bool(std::string_view domain)> is_local;
  std::string_view subaddress = {};  // characters that part a tag from a mailbox
};

// Brings the argument of MAIL or RCPT (RFC 5321 §4.1.2), brackets and all, to its canonical form: source routes
// (§4.1.1.3), comments, blanks, needless quotes and a trailing dot are dropped, case is folded (of UTF-8 local parts
// too, RFC 6531, which become NFC), IDNs become A-labels, and routes in the local part of a local domain are followed,
// so that no spelling hides where a message would go. Total: every input gives one of the three forms. NUL and
// everything else that an MTA must refuse is malformed.
Address canonical_address(std::string_view raw, const AddressContext& context);

// Most addresses: "local@domain" in ASCII, without quotes, brackets and routes of old, that is its own canonical form.
bool is_canonical_address(std::string_view text);

// "local@domain", canonical already, as an address.
Address mailbox_of(std::string full, std::string_view subaddress = {});

// The mailbox that is meant: the address without its tag.
Address without_tag(const Address& address);

// A login in the form under which it is matched and counted: case is folded, and the domain, where it has one, is as
// canonical_domain() has it.
std::string canonical_login(std::string_view login);

}  // namespace replygate

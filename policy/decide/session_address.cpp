#include "policy/decide/session_address.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "policy/mail/text.h"

namespace replygate {
namespace {

AddressContext context_of(const Site& site) {
  return {.default_domain = site.default_domain,
          .is_local =
              [&site](std::string_view domain) {
                return domain == site.default_domain || site.local_domains->contains(domain);
              },
          .subaddress = site.subaddress};
}

// RCPT TO:<postmaster> is for us whatever completes other addresses (RFC 5321 §4.5.1).
bool is_bare_postmaster(const RcptEvent& event, const Address& offline, const Site& site) {
  if (offline.local() != "postmaster" || offline.domain() != site.default_domain) return false;
  if (event.recipient.find('@') != std::string::npos) return false;
  return event.rewritten.find('@') == std::string::npos || to_lower(event.rewritten) == offline.full;
}

}  // namespace

std::int64_t declared_size(const std::vector<std::string>& parameters) {
  for (const std::string_view parameter : parameters) {
    if (parameter.size() < 6 || !equal_ignoring_case(parameter.substr(0, 5), "SIZE=")) continue;
    std::int64_t size = 0;
    const auto [end, error] = std::from_chars(parameter.data() + 5, parameter.data() + parameter.size(), size);
    if (error == std::errc::result_out_of_range) return std::numeric_limits<std::int64_t>::max();
    return std::max<std::int64_t>(size, 0);
  }
  return 0;
}

bool has_parameter(const std::vector<std::string>& parameters, std::string_view keyword) {
  return std::ranges::any_of(parameters, [&](std::string_view p) { return equal_ignoring_case(p, keyword); });
}

// A bare user is Sendmail's form of a sender at any of its domains: what the client wrote tells which.
Address canonical_sender(const MailEvent& event, const Site& site) {
  const AddressContext context = context_of(site);
  if (event.rewritten.find('@') != std::string::npos) return canonical_address(event.rewritten, context);
  Address written = canonical_address(event.sender, context);
  const bool useless = written.form == Address::Form::malformed && !event.rewritten.empty();
  return useless ? canonical_address(event.rewritten, context) : written;
}

// The MTA's own form tells where a message goes, whatever tricks the spelling plays. A bare user is Sendmail's form of
// a local mailbox after virtusertable; what the client wrote is then the better name, if it is one.
Address canonical_recipient(const RcptEvent& event, const Site& site) {
  const AddressContext context = context_of(site);
  const bool bare = event.rewritten.find('@') == std::string::npos;
  if (!bare && !event.mta_refused && event.recipient.find('@') != std::string::npos) {
    return canonical_address(event.rewritten, context);
  }
  Address offline = canonical_address(event.recipient, context);
  if (is_bare_postmaster(event, offline, site))
    return canonical_address("postmaster@" + site.postmaster_domain, context);
  if (!bare && !event.mta_refused) return canonical_address(event.rewritten, context);
  const bool useless = offline.form != Address::Form::mailbox && !event.rewritten.empty() && !event.mta_refused;
  return useless ? canonical_address(event.rewritten, context) : offline;
}

// A login may send as its own address, tagged or not; a login without a domain as its name at one of our domains.
bool is_mismatch(const Transaction& t, const Site& site) {
  if (t.user.empty() || t.sender.form == Address::Form::null || t.user == t.sender.full) return false;
  const std::string_view login = t.user_bare.empty() ? t.user : t.user_bare;
  const Address sender = without_tag(t.sender);
  if (login == sender.full) return false;
  if (login.find('@') != std::string_view::npos || login != sender.local()) return true;
  const std::string_view domain = sender.domain();
  return domain != site.default_domain && domain != site.login_domain && !site.local_domains->contains(domain);
}

std::optional<bool> is_external(const Recipient& recipient, const Site& site) {
  if (site.knows_domains()) {
    const std::string_view domain = recipient.address.domain();
    return !site.local_domains->contains(domain) && !site.relay_domains->contains(domain);
  }
  if (!recipient.route) return std::nullopt;
  if (*recipient.route == "local" || *recipient.route == "virtual" || *recipient.route == "relay") return false;
  return *recipient.route == "smtp" ? std::optional(true) : std::nullopt;
}

}  // namespace replygate

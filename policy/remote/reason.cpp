#include "policy/remote/reason.h"

#include <algorithm>
#include <array>

namespace replygate {
namespace {

constexpr Severity kPermanent = Severity::permanent;
constexpr Severity kTransient = Severity::transient;

// clang-format off: a table, in the order of the enumeration
constexpr auto make_reason_table() {
  using enum Reason;
  return std::array{
      ReasonInfo{delivered, "delivered", "The server took the message.", "", Fault::unknown, false, Severity::success,
                 "Nothing is to be done."},
      ReasonInfo{user_unknown, "user_unknown", "There is no such mailbox.", "unknown-user", Fault::recipient, true,
                 kPermanent, "Remove the address from your lists, or look for a typing error in it."},
      ReasonInfo{mailbox_disabled, "mailbox_disabled", "The mailbox exists, but is closed or suspended.",
                 "access-denied", Fault::recipient, true, kPermanent,
                 "Stop mailing this address; ask the recipient in another way for a new one."},
      ReasonInfo{has_moved, "has_moved", "The recipient has left for another address.", "user-not-local",
                 Fault::recipient, true, kPermanent,
                 "Replace the address by the new one, if the reply names it; else remove it."},
      ReasonInfo{domain_unknown, "domain_unknown", "The recipient's domain does not exist, or has no mail server.",
                 "null-mx", Fault::recipient, true, kPermanent,
                 "Look for a typing error in the domain. If `dig MX DOMAIN` finds nothing, remove the address."},
      ReasonInfo{mailbox_full, "mailbox_full", "The recipient's mailbox is full.", "mailbox-full", Fault::recipient,
                 false, kTransient,
                 "The mailbox must have room first: tell the recipient in another way, and send again in some days."},
      ReasonInfo{too_big, "too_big", "The message is larger than the server allows.", "message-too-big", Fault::content,
                 false, kPermanent, "Send a smaller message: put attachments where they can be downloaded."},
      ReasonInfo{recipient_filter, "recipient_filter", "The recipient's own settings refuse this mail.",
                 "access-denied", Fault::recipient, false, kPermanent,
                 "Ask the recipient to accept mail from your address; do not send again before."},
      ReasonInfo{not_accepting, "not_accepting", "The host takes no mail at all.", "null-mx", Fault::recipient, false,
                 kPermanent,
                 "The domain publishes that it takes no mail: look for a typing error in it, or remove the address."},
      ReasonInfo{unverified, "unverified", "The server could not check the address yet.", "mailbox-busy",
                 Fault::their_server, false, kTransient,
                 "Wait: the server asks the recipient's own server first. Your MTA will try again."},
      ReasonInfo{ip_blocked, "ip_blocked", "The server refuses your IP address or network.", "node-not-allowed",
                 Fault::our_address, false, kPermanent,
                 "Find out which list has your address (the reply often names it), end what brought it there, then ask "
                 "to be removed."},
      ReasonInfo{no_ptr, "no_ptr", "Your IP address has no fitting name in the DNS.", "reverse-dns-failed",
                 Fault::our_dns, false, kPermanent,
                 "Publish a PTR record for your IP address, and an A or AAAA record of that name which points back."},
      ReasonInfo{sender_rejected, "sender_rejected", "The server refuses the sender's address or domain.",
                 "access-denied", Fault::our_address, false, kPermanent,
                 "Check that the sender's domain exists and takes mail (MX, A); then ask the recipient's postmaster "
                 "what is held against it."},
      ReasonInfo{auth_failure, "auth_failure", "SPF, DKIM or DMARC failed, or a login was missing.",
                 "authentication-failed", Fault::our_auth, false, kPermanent,
                 "Publish SPF for the host that sends, sign with DKIM, and let one of both agree with the domain in "
                 "From (DMARC)."},
      ReasonInfo{relay_denied, "relay_denied", "The server does not take mail for this domain from you.",
                 "relay-denied", Fault::their_server, false, kPermanent,
                 "Check the MX records of the recipient's domain. If the server should relay for you, log in or "
                 "register your address there."},
      ReasonInfo{rate_limited, "rate_limited", "Too many messages, recipients or connections in too short a time.",
                 "rate-limited", Fault::our_address, false, kTransient,
                 "Send slower to this provider, with fewer connections and fewer recipients a message."},
      ReasonInfo{greylist, "greylist", "The server asks every new sender to come back later.", "greylisted",
                 Fault::their_server, false, kTransient, "Wait: your MTA tries again by itself."},
      ReasonInfo{spam, "spam", "The server takes the message for spam.", "refused-by-policy", Fault::content, false,
                 kPermanent,
                 "Look at what the message says and links to, and whether the recipients asked for it. Report a false "
                 "alarm to their postmaster."},
      ReasonInfo{
          virus, "virus", "The server found malware or phishing.", "refused-by-policy", Fault::content, false,
          kPermanent,
          "Scan the sender's computer and your web sites; send the message again without the attachment or link."},
      ReasonInfo{content, "content", "Something in the message is not allowed: an attachment, a header, its form.",
                 "transaction-failed", Fault::content, false, kPermanent,
                 "Correct the message (headers, attachment, encoding) and send it again."},
      ReasonInfo{policy, "policy", "A rule of the server refuses the message, and it says no more.",
                 "refused-by-policy", Fault::unknown, false, kPermanent,
                 "Follow the link in the reply, or ask the recipient's postmaster which rule it was."},
      ReasonInfo{protocol, "protocol", "The server did not understand a command, or its order.", "syntax-error",
                 Fault::our_address, false, kPermanent,
                 "Look at what your MTA or script sends (`HELO`, addresses, line ends, required headers)."},
      ReasonInfo{tls, "tls", "The connection is not encrypted, or not as the server wants it.", "encryption-required",
                 Fault::our_auth, false, kPermanent,
                 "Let your MTA use STARTTLS with a recent TLS version and a valid certificate."},
      ReasonInfo{
          network, "network", "The server could not be reached, or mail turns in a circle.", "local-error",
          Fault::network, false, kTransient,
          "Check the route and the DNS of the recipient's domain; your MTA will try again while the message is young."},
      ReasonInfo{system, "system", "The server has a problem of its own.", "local-error", Fault::their_server, false,
                 kTransient, "Wait. If it lasts, tell the recipient's postmaster."},
      ReasonInfo{expired, "expired", "The message waited until your MTA gave up.", "queueing-failed", Fault::network,
                 false, kTransient, "Look in your log for what the earlier attempts met; send again once it is fixed."},
      ReasonInfo{complaint, "complaint", "The recipient reported the message as spam.", "refused-by-policy",
                 Fault::content, false, kPermanent,
                 "Remove the recipient from the list that sent the message, at once."},
      ReasonInfo{own_refusal, "own_refusal", "Your own server refused the message.", "refused-by-policy",
                 Fault::our_policy, false, kPermanent,
                 "`replygate why REF` tells which rule it was. Where it knows nothing, your MTA refused by itself: "
                 "look at its restrictions."},
      ReasonInfo{unspecified, "unspecified", "The server does not say why.", "transaction-failed", Fault::unknown,
                 false, kPermanent, "Ask the recipient's postmaster; quote the reply with its time."},
  };
}
constexpr auto kReasonTable = make_reason_table();
// clang-format on

constexpr bool reasons_in_order() {
  for (std::size_t i = 0; i < kReasonTable.size(); ++i) {
    if (kReasonTable[i].reason != static_cast<Reason>(i)) return false;
  }
  return kReasonTable.back().reason == Reason::unspecified;
}
static_assert(reasons_in_order());

constexpr std::array<std::string_view, 9> kFaults{"recipient", "our-address",  "our-dns",    "our-auth", "content",
                                                  "network",   "their-server", "our-policy", "unknown"};

struct ReasonOfClass {
  std::string_view classification;
  Reason reason;
};
// clang-format off: a table
constexpr ReasonOfClass kOfClasses[] = {
    {"access-denied", Reason::policy},
    {"refused-by-policy", Reason::policy},
    {"relay-denied", Reason::relay_denied},
    {"user-not-local", Reason::has_moved},
    {"unknown-user", Reason::user_unknown},
    {"mailbox-busy", Reason::system},
    {"mailbox-full", Reason::mailbox_full},
    {"mailbox-name-not-allowed", Reason::user_unknown},
    {"too-many-recipients", Reason::rate_limited},
    {"too-many-messages", Reason::rate_limited},
    {"quota-exceeded", Reason::rate_limited},
    {"rate-limited", Reason::rate_limited},
    {"message-too-big", Reason::too_big},
    {"storage-full", Reason::system},
    {"greylisted", Reason::greylist},
    {"duplicate-flood", Reason::rate_limited},
    {"bounces-blocked", Reason::policy},
    {"host-closed", Reason::not_accepting},
    {"service-unavailable", Reason::system},
    {"bad-helo", Reason::ip_blocked},
    {"reverse-dns-failed", Reason::no_ptr},
    {"authentication-required", Reason::policy},
    {"login-required", Reason::policy},
    {"authentication-too-weak", Reason::policy},
    {"password-transition-needed", Reason::policy},
    {"encryption-required", Reason::tls},
    {"starttls-required", Reason::protocol},
    {"tls-unavailable", Reason::tls},
    {"authentication-failed", Reason::policy},
    {"account-disabled", Reason::mailbox_disabled},
    {"command-not-allowed", Reason::protocol},
    {"command-not-implemented", Reason::protocol},
    {"syntax-error", Reason::protocol},
    {"parameter-not-implemented", Reason::protocol},
    {"null-mx", Reason::not_accepting},
    {"queueing-failed", Reason::system},
    {"node-not-allowed", Reason::ip_blocked},
    {"local-error", Reason::system},
    {"transaction-failed", Reason::system},
};
// clang-format on

}  // namespace

std::span<const ReasonInfo> reasons() { return kReasonTable; }

const ReasonInfo& info_of(Reason reason) { return kReasonTable[static_cast<std::size_t>(reason)]; }

std::optional<Reason> reason_from(std::string_view slug) {
  const auto it = std::ranges::find(kReasonTable, slug, &ReasonInfo::slug);
  if (it == kReasonTable.end()) return std::nullopt;
  return it->reason;
}

Reason reason_of_class(std::string_view classification) {
  const auto it = std::ranges::find(kOfClasses, classification, &ReasonOfClass::classification);
  return it == std::end(kOfClasses) ? Reason::unspecified : it->reason;
}

std::string_view to_string(Fault fault) { return kFaults[static_cast<std::size_t>(fault)]; }

std::optional<Fault> fault_from(std::string_view name) {
  const auto it = std::ranges::find(kFaults, name);
  if (it == kFaults.end()) return std::nullopt;
  return static_cast<Fault>(it - kFaults.begin());
}

}  // namespace replygate

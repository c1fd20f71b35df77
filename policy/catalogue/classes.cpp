#include "policy/catalogue/classes.h"

#include <algorithm>
#include <array>

namespace replygate {
namespace {

template <typename... S>
constexpr StageSet at(S... stages) {
  return static_cast<StageSet>((bit(stages) | ...));
}

using enum Stage;
constexpr StageSet kAny = at(connect, helo, mail, rcpt, data, message);
constexpr StageSet kSession = at(connect, helo, mail, rcpt);
constexpr StageSet kEnvelope = at(mail, rcpt);
constexpr StageSet kAfterMail = at(mail, rcpt, data, message);

// clang-format off: a table, one row an entry
constexpr std::array kClasses = {
    Classification{"access-denied",
                   554,
                   {5, 7, 1},
                   "Access denied",
                   kAny,
                   "The policy refuses this client, sender or recipient for good."},
    Classification{"refused-by-policy",
                   550,
                   {5, 7, 1},
                   "Refused by the policy of this site",
                   kAny,
                   "The policy refuses it, and states no reason: what a code by itself means."},
    Classification{"relay-denied",
                   571,
                   {5, 7, 1},
                   "Relaying denied",
                   at(rcpt),
                   "The recipient is neither local nor relayed, and the client may not send elsewhere."},
    Classification{"user-not-local",
                   551,
                   {5, 1, 6},
                   "User not local",
                   at(rcpt),
                   "The mailbox is not here; the text may name where it is."},
    Classification{"unknown-user", 550, {5, 1, 1}, "No such user here", at(rcpt), "The mailbox does not exist."},
    Classification{"mailbox-busy",
                   450,
                   {4, 2, 1},
                   "Mailbox busy, try again later",
                   at(rcpt),
                   "The mailbox is locked or in maintenance for a while."},
    Classification{"mailbox-full",
                   452,
                   {4, 2, 2},
                   "Mailbox full",
                   at(rcpt, message),
                   "The recipient's mailbox has no room. Code 552 makes it a hard bounce."},
    Classification{"mailbox-name-not-allowed",
                   553,
                   {5, 1, 3},
                   "Mailbox name not allowed",
                   kEnvelope,
                   "The address is malformed, or may not be used here."},
    Classification{"too-many-recipients",
                   453,
                   {4, 5, 3},
                   "Too many recipients, send the rest in another message",
                   at(rcpt, data, message),
                   "The message has more recipients than the policy allows."},
    Classification{"too-many-messages",
                   453,
                   {4, 3, 2},
                   "Too many messages, send the rest later",
                   kAfterMail,
                   "The session or the client has sent more messages than the policy allows."},
    Classification{"quota-exceeded",
                   452,
                   {4, 7, 1},
                   "Sending quota exceeded, try again in {retry_after}",
                   kAfterMail,
                   "The key of a limit has used it up; room comes back with time."},
    Classification{"rate-limited",
                   451,
                   {4, 7, 28},
                   "Too fast, try again in {retry_after}",
                   kAny,
                   "The client sends faster than the policy allows."},
    Classification{"message-too-big",
                   552,
                   {5, 3, 4},
                   "Message too big",
                   at(mail, message),
                   "The message is bigger than the policy allows, or than a limit could ever hold."},
    Classification{"storage-full",
                   452,
                   {4, 3, 1},
                   "Insufficient system storage",
                   kAfterMail,
                   "This system has no room for more mail at present."},
    Classification{"greylisted",
                   450,
                   {4, 7, 1},
                   "Greylisted, try again in {retry_after}",
                   at(rcpt, data, message),
                   "An unknown sender must try again after a delay."},
    Classification{"duplicate-flood",
                   557,
                   {5, 7, 1},
                   "Too many duplicate messages",
                   kAfterMail,
                   "The same message comes again and again."},
    Classification{"bounces-blocked",
                   572,
                   {5, 7, 1},
                   "Bounces are blocked here",
                   kAfterMail,
                   "Delivery reports to this recipient are refused: it is the victim of backscatter."},
    Classification{"host-closed",
                   521,
                   {5, 3, 2},
                   "This host does not accept mail",
                   kSession,
                   "The host takes no mail at all, or none from this client."},
    Classification{"service-unavailable",
                   421,
                   {4, 3, 2},
                   "Service not available, closing connection",
                   kAny,
                   "The service is overloaded or stopping; the connection is closed."},
    Classification{"bad-helo",
                   501,
                   {5, 5, 2},
                   "HELO name not acceptable",
                   at(helo, mail, rcpt),
                   "The client greets with a name that the policy refuses."},
    Classification{"reverse-dns-failed",
                   550,
                   {5, 7, 25},
                   "Reverse DNS of your address is missing or wrong",
                   kSession,
                   "The client's address has no verified name."},
    Classification{"authentication-required",
                   530,
                   {5, 7, 0},
                   "Authentication required",
                   kEnvelope,
                   "The client must log in first."},
    Classification{"login-required",
                   505,
                   {5, 7, 0},
                   "Log in before sending",
                   kEnvelope,
                   "As authentication-required, with the nonstandard code 505."},
    Classification{"authentication-too-weak",
                   534,
                   {5, 7, 9},
                   "Authentication mechanism is too weak",
                   kEnvelope,
                   "The login used a mechanism that the policy does not accept."},
    Classification{"password-transition-needed",
                   432,
                   {4, 7, 12},
                   "A password transition is needed",
                   kEnvelope,
                   "The account must be moved to another authentication mechanism."},
    Classification{"encryption-required",
                   538,
                   {5, 7, 11},
                   "Encryption required, start TLS first",
                   kEnvelope,
                   "The login, or the message, must come over TLS."},
    Classification{"starttls-required",
                   530,
                   {5, 7, 10},
                   "Must issue a STARTTLS command first",
                   kEnvelope,
                   "The session must be encrypted before mail is taken."},
    Classification{"tls-unavailable",
                   454,
                   {4, 7, 0},
                   "TLS not available at present, try again later",
                   kEnvelope,
                   "Encryption is required but temporarily unavailable."},
    Classification{"authentication-failed",
                   535,
                   {5, 7, 8},
                   "Authentication credentials invalid",
                   kEnvelope,
                   "The login is not valid."},
    Classification{
        "account-disabled", 525, {5, 7, 13}, "Account disabled", kEnvelope, "The logged-in account may not send."},
    Classification{"command-not-allowed",
                   503,
                   {5, 5, 1},
                   "Command not allowed now",
                   kAny,
                   "The command comes at the wrong point of the session."},
    Classification{
        "command-not-implemented", 502, {5, 5, 1}, "Command not implemented", kAny, "The command is not offered here."},
    Classification{"syntax-error", 500, {5, 5, 2}, "Syntax error", kAny, "The command cannot be understood."},
    Classification{"parameter-not-implemented",
                   504,
                   {5, 5, 4},
                   "Command parameter not implemented",
                   kAny,
                   "A parameter of the command is not offered here."},
    Classification{"null-mx",
                   556,
                   {5, 1, 10},
                   "The domain does not accept mail",
                   at(rcpt),
                   "The recipient's domain declares that it takes no mail."},
    Classification{"queueing-failed",
                   458,
                   {4, 3, 0},
                   "Unable to queue messages, try again later",
                   kAfterMail,
                   "Mail for this node cannot be queued at present."},
    Classification{"node-not-allowed",
                   459,
                   {4, 7, 1},
                   "Node not allowed",
                   kSession,
                   "The node may not have its queue run, or may not be served, at present."},
    Classification{"local-error",
                   451,
                   {4, 3, 0},
                   "Local error in processing, try again later",
                   kAny,
                   "This system could not decide: a fact, a store or a filter failed."},
    Classification{"transaction-failed",
                   554,
                   {5, 3, 0},
                   "Transaction failed",
                   kAny,
                   "The message is refused for a reason that no other classification covers."},
};
// clang-format on

constexpr bool replies_consistent() {
  return std::ranges::all_of(kClasses, [](const Classification& c) {
    return c.code >= 400 && c.code <= 599 && c.enhanced.severity == c.code / 100 && !c.text.empty() && c.stages != 0;
  });
}

constexpr bool slugs_unique() {
  for (std::size_t i = 0; i < kClasses.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (kClasses[i].slug == kClasses[j].slug) return false;
    }
  }
  return true;
}

static_assert(replies_consistent() && slugs_unique());

}  // namespace

std::span<const Classification> classifications() { return kClasses; }

const Classification* find_classification(std::string_view slug) {
  const auto it = std::ranges::find(kClasses, slug, &Classification::slug);
  return it == kClasses.end() ? nullptr : &*it;
}

const Classification& classification_without_reason() { return *find_classification("refused-by-policy"); }

std::vector<const Classification*> classifications_with(int code) {
  std::vector<const Classification*> result;
  for (const Classification& c : kClasses) {
    if (c.code == code) result.push_back(&c);
  }
  return result;
}

CommandSet commands_of(Stage stage) {
  switch (stage) {
    case Stage::connect: return bit(Command::connect) | bit(Command::mail);
    case Stage::helo: return bit(Command::helo) | bit(Command::ehlo) | bit(Command::mail);
    case Stage::mail: return bit(Command::mail);
    case Stage::rcpt: return bit(Command::rcpt);
    case Stage::data: return bit(Command::data);
    case Stage::header:
    case Stage::message: return bit(Command::message);
  }
  return 0;
}

}  // namespace replygate

#include "policy/catalogue/codes_table.h"

#include <array>

namespace replygate::detail {
namespace {

constexpr SourceSet kEsa = bit(Source::esa);
constexpr SourceSet kFaq = bit(Source::faq);
constexpr SourceSet kModusgate = bit(Source::modusgate);
constexpr SourceSet kWiki = bit(Source::wiki);
constexpr SourceSet kMaxbulk = bit(Source::maxbulk);
constexpr SourceSet kAll = kEsa | kFaq | kModusgate | kWiki | kMaxbulk;

template <typename... C>
constexpr CommandSet at(C... commands) {
  return (bit(commands) | ...);
}

// "Any SMTP command can return any of the following codes": 421, 500 and 501 (RFC 5321 §4.3.2).
constexpr CommandSet kEveryCommand =
    at(Command::helo, Command::ehlo, Command::mail, Command::rcpt, Command::data, Command::rset, Command::vrfy,
       Command::expn, Command::help, Command::noop, Command::quit);

constexpr Sense k200[] = {
    {"nonstandard success reply", kFaq | kWiki},
};
constexpr Sense k211[] = {
    {"system status, or system help reply", kEsa | kFaq | kWiki | kMaxbulk},
};
constexpr Sense k214[] = {
    {"help message for a human reader", kEsa | kFaq | kWiki | kMaxbulk},
};
constexpr Sense k220[] = {
    {"service ready", kAll},
    {"ready to start TLS", kMaxbulk},
};
constexpr Sense k221[] = {
    {"service closing transmission channel", kAll},
};
constexpr Sense k235[] = {
    {"authentication succeeded", 0},
};
constexpr Sense k250[] = {
    {"requested mail action okay, completed", kAll},
    {"queuing for the node started", kMaxbulk},
};
constexpr Sense k251[] = {
    {"user not local; the server will forward", kAll},
    {"no messages waiting for the node", kMaxbulk},
};
constexpr Sense k252[] = {
    {"cannot verify the user, but will take the message and attempt delivery", kFaq | kModusgate | kMaxbulk},
};
constexpr Sense k253[] = {
    {"messages for the node are pending and delivery has started", kMaxbulk},
};
constexpr Sense k334[] = {
    {"server challenge of an authentication exchange", 0},
};
constexpr Sense k354[] = {
    {"start mail input; end with a dot on a line by itself", kEsa | kFaq | kWiki | kMaxbulk},
};
constexpr Sense k355[] = {
    {"the octet offset is the transaction offset", kMaxbulk},
};
constexpr Sense k421[] = {
    {"service not available, closing transmission channel", kAll},
    {"the server must shut down; may answer any command", kEsa | kFaq},
};
constexpr Sense k432[] = {
    {"a password transition is needed", kMaxbulk},
};
constexpr Sense k450[] = {
    {"mailbox unavailable, for instance busy or locked", kEsa | kModusgate | kWiki | kMaxbulk},
    {"mailbox busy, or access denied for now", kFaq},
    {"ATRN request refused", kMaxbulk},
};
constexpr Sense k451[] = {
    {"local error in processing", kEsa | kModusgate | kWiki | kMaxbulk},
    {"interrupted, usually by overload or a passing fault", kFaq},
    {"unable to process the ATRN request now", kMaxbulk},
};
constexpr Sense k452[] = {
    {"insufficient system storage", kAll},
    {"probable overload from too many messages", kFaq},
    {"too many recipients at once", kMaxbulk},
};
constexpr Sense k453[] = {
    {"too many recipients", kEsa},
    {"too many messages", kFaq},
    {"you have no mail", kMaxbulk},
};
constexpr Sense k454[] = {
    {"TLS not available for a temporary reason", kMaxbulk},
    {"encryption required for the requested authentication mechanism", kMaxbulk},
    {"temporary authentication failure", 0},
};
constexpr Sense k455[] = {
    {"server unable to accommodate the parameters", 0},
};
constexpr Sense k458[] = {
    {"unable to queue messages for the node", kMaxbulk},
};
constexpr Sense k459[] = {
    {"node not allowed", kMaxbulk},
};
constexpr Sense k500[] = {
    {"syntax error, command unrecognised", kAll},
    {"command line too long", kEsa | kFaq},
};
constexpr Sense k501[] = {
    {"syntax error in parameters or arguments", kAll},
    {"no parameters allowed", kMaxbulk},
};
constexpr Sense k502[] = {
    {"command not implemented", kAll},
};
constexpr Sense k503[] = {
    {"bad sequence of commands", kAll},
};
constexpr Sense k504[] = {
    {"command parameter not implemented", kAll},
};
constexpr Sense k505[] = {
    {"authentication required", kMaxbulk},
};
constexpr Sense k521[] = {
    {"the host does not accept mail", kFaq | kWiki | kMaxbulk},
    {"closing transmission channel", kFaq},
    {"authenticate by POP first and send from your own address", kFaq},
};
constexpr Sense k523[] = {
    {"encryption needed", 0},
};
constexpr Sense k524[] = {
    {"encryption required for the requested authentication mechanism", 0},
};
constexpr Sense k525[] = {
    {"user account disabled", 0},
};
constexpr Sense k530[] = {
    {"access denied", kFaq},
    {"a STARTTLS command must come first", kMaxbulk},
    {"encryption required for the requested authentication mechanism", kMaxbulk},
    {"authentication required", 0},
};
constexpr Sense k533[] = {
    {"message refused for security reasons", 0},
};
constexpr Sense k534[] = {
    {"authentication mechanism is too weak", kMaxbulk},
};
constexpr Sense k535[] = {
    {"authentication credentials invalid", 0},
};
constexpr Sense k538[] = {
    {"encryption required for the requested authentication mechanism", kMaxbulk},
};
constexpr Sense k550[] = {
    {"mailbox unavailable: not found, or no access", kEsa | kModusgate | kWiki | kMaxbulk},
    {"relaying not allowed", kFaq},
    {"unknown recipient", kFaq},
    {"refused for policy reasons", kMaxbulk},
    {"EHLO not implemented", kWiki},
};
constexpr Sense k551[] = {
    {"user not local; please try another path", kAll},
    {"invalid address: relay request denied", kFaq},
};
constexpr Sense k552[] = {
    {"exceeded storage allocation", kAll},
    {"probable overload from too many messages", kFaq},
};
constexpr Sense k553[] = {
    {"mailbox name not allowed, for instance its syntax is wrong", kAll},
    {"too many messages a connection, or the message must be changed", kFaq},
};
constexpr Sense k554[] = {
    {"transaction failed", kEsa | kModusgate | kWiki | kMaxbulk},
    {"rejected: access denied", kFaq},
    {"no SMTP service here, as a greeting", 0},
};
constexpr Sense k555[] = {
    {"parameters of MAIL or RCPT not recognised or not implemented", 0},
};
constexpr Sense k556[] = {
    {"the domain does not accept mail", 0},
};
constexpr Sense k557[] = {
    {"too many duplicate messages", kFaq},
};
constexpr Sense k571[] = {
    {"relaying refused; remote recipients need authentication", kMaxbulk},
    {"refused by a blocklist or other policy", kMaxbulk},
};
constexpr Sense k572[] = {
    {"bounces are blocked because of abuse", kMaxbulk},
};

using enum Command;

constexpr std::array kRows = {
    ReplyCode{.code = 200,
              .senses = k200,
              .commands = at(rset, noop),
              .defined_by = "",
              .sender_should = "Go on; read it as 250.",
              .admin_should = "Answer 250 instead; some clients do not know 200."},
    ReplyCode{.code = 211,
              .senses = k211,
              .commands = at(help),
              .rfc5321 = at(help),
              .defined_by = "RFC 5321",
              .sender_should = "Nothing to do.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 214,
              .senses = k214,
              .commands = at(help),
              .rfc5321 = at(help),
              .defined_by = "RFC 5321",
              .sender_should = "Nothing to do.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 220,
              .senses = k220,
              .commands = at(connect, starttls),
              .rfc5321 = at(connect),
              .defined_by = "RFC 5321, RFC 3207",
              .sender_should = "Greet with EHLO, or start the TLS handshake after STARTTLS.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 221,
              .senses = k221,
              .commands = at(quit),
              .rfc5321 = at(quit),
              .defined_by = "RFC 5321",
              .sender_should = "Close the connection.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 235,
              .senses = k235,
              .commands = at(auth),
              .defined_by = "RFC 4954",
              .sender_should = "Go on as the authenticated user.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 250,
              .senses = k250,
              .commands = at(helo, ehlo, mail, rcpt, message, rset, send, soml, saml, vrfy, expn, noop, turn, etrn),
              .rfc5321 = at(helo, ehlo, mail, rcpt, data, message, rset, vrfy, expn, noop),
              .defined_by = "RFC 5321, RFC 1985",
              .sender_should = "Go on; after the final dot the server has taken responsibility for the message.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 251,
              .senses = k251,
              .commands = at(rcpt, vrfy, etrn),
              .rfc5321 = at(rcpt, vrfy),
              .defined_by = "RFC 5321, RFC 1985",
              .sender_should = "Go on; correct the address in the address book.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 252,
              .senses = k252,
              .commands = at(vrfy, expn, etrn),
              .rfc5321 = at(vrfy, expn),
              .defined_by = "RFC 5321, RFC 1985",
              .sender_should = "Send the message; the address is neither confirmed nor denied.",
              .admin_should = "The right answer to VRFY where addresses are not to be disclosed."},
    ReplyCode{.code = 253,
              .senses = k253,
              .commands = at(etrn),
              .defined_by = "RFC 1985",
              .sender_should = "Wait for the queued messages.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 334,
              .senses = k334,
              .commands = at(auth),
              .defined_by = "RFC 4954",
              .sender_should = "Answer with the next base64 response.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 354,
              .senses = k354,
              .commands = at(data),
              .rfc5321 = at(data),
              .defined_by = "RFC 5321",
              .sender_should = "Send the message.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 355,
              .senses = k355,
              .commands = at(mail),
              .defined_by = "RFC 1845",
              .sender_should = "Resume the transfer at the given octet.",
              .admin_should = "Nothing to do."},
    ReplyCode{
        .code = 421,
        .senses = k421,
        .commands = at(connect, helo, ehlo, mail, rcpt, data, rset, send, soml, saml, vrfy, expn, help, noop),
        .any_command = true,
        .rfc5321 = kEveryCommand,
        .defined_by = "RFC 5321",
        .sender_should = "Reconnect and retry later; the connection is closed.",
        .admin_should =
            "Look for overload, a shutdown, or a connection limit; a policy that answers 421 drops the whole session."},
    ReplyCode{.code = 432,
              .senses = k432,
              .commands = at(auth),
              .defined_by = "RFC 4954",
              .sender_should =
                  "Log in once with a plain-text mechanism over TLS so that the server can convert the password.",
              .admin_should = "Migrate the account to the new authentication mechanism."},
    ReplyCode{.code = 450,
              .senses = k450,
              .commands = at(rcpt, atrn),
              .rfc5321 = at(rcpt, data, message),
              .customary = at(connect, helo, ehlo, mail),
              .defined_by = "RFC 5321, RFC 2645",
              .sender_should = "Keep the message queued and retry.",
              .admin_should = "Used for greylisting and for locked mailboxes; look at the text for the cause."},
    ReplyCode{.code = 451,
              .senses = k451,
              .commands = at(mail, rcpt, data, message, send, soml, saml, atrn),
              .rfc5321 = at(mail, rcpt, data, message),
              .defined_by = "RFC 5321, RFC 2645",
              .sender_should = "Keep the message queued and retry.",
              .admin_should = "Search the receiving server's log for the error; a filter or a look-up may be down."},
    ReplyCode{.code = 452,
              .senses = k452,
              .commands = at(mail, rcpt, message, send, soml, saml),
              .rfc5321 = at(mail, rcpt, data, message),
              .defined_by = "RFC 5321",
              .sender_should = "Retry later, with fewer recipients in one transaction.",
              .admin_should = "Look at disk space, mailbox quotas and sending quotas."},
    ReplyCode{.code = 453,
              .senses = k453,
              .commands = at(mail, rcpt, atrn),
              .defined_by = "RFC 2645 (for ATRN alone)",
              .sender_should = "Send the refused recipients in another transaction, or fewer messages a connection.",
              .admin_should = "Not a standard reply to MAIL or RCPT; senders treat it as any 4yz and retry."},
    ReplyCode{.code = 454,
              .senses = k454,
              .commands = at(starttls, auth),
              .defined_by = "RFC 3207, RFC 4954",
              .sender_should = "Retry later; if policy allows, without TLS.",
              .admin_should = "Look at the certificate, the key and the authentication backend."},
    ReplyCode{.code = 455,
              .senses = k455,
              .commands = at(mail, rcpt),
              .rfc5321 = at(mail, rcpt),
              .defined_by = "RFC 5321",
              .sender_should = "Retry later, or without the optional parameters.",
              .admin_should = "Look which ESMTP parameter was refused."},
    ReplyCode{.code = 458,
              .senses = k458,
              .commands = at(etrn),
              .defined_by = "RFC 1985",
              .sender_should = "Ask again later.",
              .admin_should = "Look at the queue of that node."},
    ReplyCode{.code = 459,
              .senses = k459,
              .commands = at(etrn),
              .defined_by = "RFC 1985",
              .sender_should = "Ask the server's admin to allow ETRN for the node.",
              .admin_should = "Allow the node, or tell its admin why not."},
    ReplyCode{.code = 500,
              .senses = k500,
              .commands = at(helo, ehlo, mail, rcpt, data, rset, send, soml, saml, vrfy, expn, help, noop, quit, turn),
              .rfc5321 = kEveryCommand,
              .defined_by = "RFC 5321",
              .sender_should = "Correct the command; this is a fault of the client program.",
              .admin_should = "Look for a broken client, or a device that rewrites SMTP."},
    ReplyCode{.code = 501,
              .senses = k501,
              .commands = at(helo, ehlo, mail, rcpt, data, rset, send, soml, saml, vrfy, expn, help),
              .rfc5321 = kEveryCommand,
              .defined_by = "RFC 5321",
              .sender_should = "Correct the address or the parameter.",
              .admin_should = "Look at the address or HELO name in the log."},
    ReplyCode{.code = 502,
              .senses = k502,
              .commands = at(send, soml, saml, vrfy, expn, help, turn),
              .rfc5321 = at(helo, ehlo, vrfy, expn, help),
              .defined_by = "RFC 5321",
              .sender_should = "Do without the command.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 503,
              .senses = k503,
              .commands = at(rcpt, data, turn),
              .rfc5321 = at(mail, rcpt, data),
              .defined_by = "RFC 5321",
              .sender_should = "Correct the order of commands; often an earlier command was refused.",
              .admin_should = "Look for the earlier refusal in the same session."},
    ReplyCode{.code = 504,
              .senses = k504,
              .commands = at(helo, ehlo, rset, vrfy, expn, help, auth),
              .rfc5321 = at(helo, ehlo, vrfy, expn, help),
              .defined_by = "RFC 5321, RFC 4954",
              .sender_should = "Do without the parameter.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 505,
              .senses = k505,
              .commands = at(mail),
              .defined_by = "",
              .sender_should = "Log in before sending.",
              .admin_should = "Prefer 530 with 5.7.0, which clients know."},
    ReplyCode{.code = 521,
              .senses = k521,
              .commands = at(helo, rcpt, connect),
              .defined_by = "RFC 7504 (before: RFC 1846)",
              .sender_should = "Give up; correct the address or find the right host.",
              .admin_should = "Meant for hosts that never take mail; Postfix closes the connection after it."},
    ReplyCode{.code = 523,
              .senses = k523,
              .commands = at(mail, auth),
              .defined_by = "RFC 5248",
              .sender_should = "Use STARTTLS first.",
              .admin_should = "Registered for enhanced status 5.7.10."},
    ReplyCode{.code = 524,
              .senses = k524,
              .commands = at(auth),
              .defined_by = "RFC 5248",
              .sender_should = "Use STARTTLS first, or another mechanism.",
              .admin_should = "Registered for enhanced status 5.7.11; most servers answer 538."},
    ReplyCode{.code = 525,
              .senses = k525,
              .commands = at(auth),
              .defined_by = "RFC 5248",
              .sender_should = "Ask the admin for the account.",
              .admin_should = "Enable the account or tell the user why it is disabled."},
    ReplyCode{.code = 530,
              .senses = k530,
              .commands = at(mail, rcpt, data, auth, vrfy, expn, etrn),
              .defined_by = "RFC 3207, RFC 4954",
              .sender_should = "Start TLS or log in, then send again.",
              .admin_should = "Tell the user to switch on authentication and TLS in the mail program."},
    ReplyCode{.code = 533,
              .senses = k533,
              .commands = at(mail, rcpt),
              .defined_by = "RFC 5248",
              .sender_should = "Ask the postmaster of the receiving side.",
              .admin_should = "Registered for enhanced status 5.7.1."},
    ReplyCode{.code = 534,
              .senses = k534,
              .commands = at(auth),
              .defined_by = "RFC 4954",
              .sender_should = "Choose a stronger mechanism.",
              .admin_should = "Offer and document a stronger mechanism."},
    ReplyCode{.code = 535,
              .senses = k535,
              .commands = at(auth),
              .defined_by = "RFC 4954",
              .sender_should = "Check user name and password.",
              .admin_should = "Look for a changed password or an attack on the account."},
    ReplyCode{.code = 538,
              .senses = k538,
              .commands = at(auth),
              .defined_by = "RFC 4954",
              .sender_should = "Start TLS before logging in.",
              .admin_should = "Switch on STARTTLS and tell users to use it."},
    ReplyCode{.code = 550,
              .senses = k550,
              .commands = at(ehlo, rcpt, vrfy, expn),
              .rfc5321 = at(helo, ehlo, mail, rcpt, data, message, vrfy, expn),
              .defined_by = "RFC 5321",
              .sender_should = "Give up; check the address, or log in if the server must relay.",
              .admin_should = "Read the text: unknown user, relaying and policy share this code."},
    ReplyCode{.code = 551,
              .senses = k551,
              .commands = at(rcpt, vrfy),
              .rfc5321 = at(rcpt, vrfy),
              .defined_by = "RFC 5321",
              .sender_should = "Send to the address that the text gives, or log in to relay.",
              .admin_should = "Point to the new address only if it may be disclosed."},
    ReplyCode{.code = 552,
              .senses = k552,
              .commands = at(mail, rcpt, message, send, soml, saml),
              .rfc5321 = at(mail, rcpt, data, message),
              .defined_by = "RFC 5321",
              .sender_should = "Send a smaller message, or tell the recipient by other means that the mailbox is full.",
              .admin_should = "Look at the mailbox quota and the message size limit."},
    ReplyCode{.code = 553,
              .senses = k553,
              .commands = at(rcpt, vrfy),
              .rfc5321 = at(mail, rcpt, vrfy),
              .defined_by = "RFC 5321",
              .sender_should = "Correct the address.",
              .admin_should = "Look at the address in the log; also used for senders that a user may not use."},
    ReplyCode{.code = 554,
              .senses = k554,
              .commands = at(data, message, connect),
              .rfc5321 = at(connect, data, message),
              .customary = at(helo, ehlo, mail, rcpt),
              .defined_by = "RFC 5321",
              .sender_should = "Give up; the text says why.",
              .admin_should = "A policy refusal in most cases: look for the rule in the log."},
    ReplyCode{.code = 555,
              .senses = k555,
              .commands = at(mail, rcpt),
              .rfc5321 = at(mail, rcpt),
              .defined_by = "RFC 5321",
              .sender_should = "Send without the optional parameters.",
              .admin_should = "Nothing to do."},
    ReplyCode{.code = 556,
              .senses = k556,
              .commands = at(rcpt),
              .defined_by = "RFC 7504",
              .sender_should = "Give up; correct the domain.",
              .admin_should = "The domain publishes a null MX (RFC 7505)."},
    ReplyCode{.code = 557,
              .senses = k557,
              .commands = at(rcpt, message),
              .defined_by = "",
              .sender_should = "Stop sending the same message again.",
              .admin_should = "Look for a loop or a flood of equal messages."},
    ReplyCode{.code = 571,
              .senses = k571,
              .commands = at(rcpt),
              .defined_by = "",
              .sender_should = "Log in before sending to other domains.",
              .admin_should = "Look whether the client is meant to relay: network, login, relay domains."},
    ReplyCode{.code = 572,
              .senses = k572,
              .commands = at(mail, rcpt),
              .defined_by = "",
              .sender_should = "Do not send delivery reports to this address.",
              .admin_should = "Backscatter protection: the null sender is refused."},
};

constexpr bool ascending() {
  for (std::size_t i = 1; i < kRows.size(); ++i) {
    if (kRows[i - 1].code >= kRows[i].code) return false;
  }
  return true;
}

constexpr bool complete() {
  for (const ReplyCode& row : kRows) {
    if (row.code < 200 || row.code > 599 || row.senses.empty() || row.sender_should.empty() ||
        row.admin_should.empty()) {
      return false;
    }
  }
  return true;
}

static_assert(ascending() && complete());

}  // namespace

std::span<const ReplyCode> code_rows() { return kRows; }

}  // namespace replygate::detail

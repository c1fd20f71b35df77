#pragma once

#include "policy/catalogue/codes.h"

// The senses of each code, and which of the published lists give them.
namespace replygate::detail {

constexpr SourceSet kEsa = bit(Source::esa);
constexpr SourceSet kFaq = bit(Source::faq);
constexpr SourceSet kModusgate = bit(Source::modusgate);
constexpr SourceSet kWiki = bit(Source::wiki);
constexpr SourceSet kMaxbulk = bit(Source::maxbulk);
constexpr SourceSet kAll = kEsa | kFaq | kModusgate | kWiki | kMaxbulk;

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

}  // namespace replygate::detail

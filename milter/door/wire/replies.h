#pragma once

#include <span>
#include <string>
#include <string_view>

#include "milter/door/mta_events.h"
#include "milter/door/wire/arguments.h"
#include "milter/door/wire/protocol.h"
#include "policy/catalogue/reply.h"

// The packets to the MTA. Pure; each function appends one packet to `out`.
namespace replygate::wire {

// `wishes` replace the MTA's own lists; to be given only where it offers kSetMacros.
void append_negotiation(std::string& out, const Negotiation& answer, std::span<const MacroWish> wishes);

void append_go_on(std::string& out);

// The client gets the reply as it is: MTAs read '%' as the beginning of a directive, so it is doubled.
void append_refusal(std::string& out, const replygate::Reply& reply);

// Changes to a message, before the answer to its end; to be sent only where the MTA offers kAddHeaders or kQuarantine
// and was told so at the negotiation. The texts are data: NUL ends them, so that octets from there on are not sent.
// Behind all others. The value is as added_value() gives it.
void append_add_header(std::string& out, std::string_view name, std::string_view value);
void append_quarantine(std::string& out, std::string_view reason);  // into the MTA's hold queue

// The message is accepted and discarded: instead of going on, at its end.
void append_discard(std::string& out);

// The decision takes longer; the MTA shall go on waiting. At the end of a message only.
void append_progress(std::string& out);

}  // namespace replygate::wire

#pragma once

#include <cstdint>

// The milter protocol, versions 2 to 6, as Sendmail defines it (libmilter/mfdef.h) and Postfix speaks it: what the
// octets of packets mean. A packet is its length (32 bits, network order, the command included), a command, and data.
namespace replygate::wire {

constexpr std::uint32_t kOldestVersion = 2;
constexpr std::uint32_t kVersion = 6;

// From the MTA.
enum class Command : char {
  abort = 'A',
  body = 'B',
  connect = 'C',
  macros = 'D',
  end_of_message = 'E',
  helo = 'H',
  quit_keep_open = 'K',  // the session ends, the connection stays for another
  header = 'L',
  mail = 'M',
  end_of_headers = 'N',
  negotiate = 'O',
  quit = 'Q',
  rcpt = 'R',
  data = 'T',
  unknown = 'U',
};

// To the MTA.
enum class Reply : char {
  add_header = 'h',
  discard = 'd',
  go_on = 'c',
  negotiate = 'O',
  progress = 'p',
  quarantine = 'q',
  reply_code = 'y',
};

// What a filter may do to a message (SMFIF_*).
constexpr std::uint32_t kAddHeaders = 0x01;
constexpr std::uint32_t kQuarantine = 0x20;
constexpr std::uint32_t kSetMacros = 0x100;

// Events that are not sent, events that get no reply, and other wishes (SMFIP_*).
constexpr std::uint32_t kNoBody = 0x10;
constexpr std::uint32_t kNoHeaders = 0x20;
constexpr std::uint32_t kNoEndOfHeaders = 0x40;
constexpr std::uint32_t kNoReplyHeader = 0x80;
constexpr std::uint32_t kNoUnknown = 0x100;
constexpr std::uint32_t kNoData = 0x200;
constexpr std::uint32_t kShowRefused = 0x800;
constexpr std::uint32_t kNoReplyConnect = 0x1000;
constexpr std::uint32_t kNoReplyHelo = 0x2000;
constexpr std::uint32_t kNoReplyMail = 0x4000;
constexpr std::uint32_t kNoReplyRcpt = 0x8000;
constexpr std::uint32_t kNoReplyData = 0x10000;
constexpr std::uint32_t kNoReplyEndOfHeaders = 0x40000;
constexpr std::uint32_t kNoReplyBody = 0x80000;
constexpr std::uint32_t kLeadingSpace = 0x100000;

// By which a filter says that it does not reply to the event; 0 where there is none.
constexpr std::uint32_t no_reply_flag(Command command) {
  switch (command) {
    case Command::connect: return kNoReplyConnect;
    case Command::helo: return kNoReplyHelo;
    case Command::mail: return kNoReplyMail;
    case Command::rcpt: return kNoReplyRcpt;
    case Command::data: return kNoReplyData;
    case Command::header: return kNoReplyHeader;
    case Command::end_of_headers: return kNoReplyEndOfHeaders;
    case Command::body: return kNoReplyBody;
    default: return 0;
  }
}

// Whether an MTA that has negotiated these steps waits for a reply.
constexpr bool wants_reply(Command command, std::uint32_t steps = 0) {
  switch (command) {
    case Command::macros:
    case Command::abort:
    case Command::quit:
    case Command::quit_keep_open: return false;
    default: return (steps & no_reply_flag(command)) == 0;
  }
}

// The stages that have a list of macros, with their numbers in a negotiation (SMFIM_*).
enum class MacroStage : std::uint32_t { connect, helo, mail, rcpt, data, end_of_message, end_of_headers };

}  // namespace replygate::wire

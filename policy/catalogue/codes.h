#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The SMTP reply codes: what five published lists and the RFCs say of each.
// All data is constant and shared; every function here may be called from any thread.
namespace replygate {

// First digit of a reply code (RFC 5321 §4.2.1).
enum class Severity : std::uint8_t { success, intermediate, transient, permanent };

// What a client makes of a refusal: it retries after a soft one, and gives up after a hard one.
enum class Bounce : std::uint8_t { none, soft, hard };

// Where in an SMTP session a reply is given. `message` is the reply to the final dot.
// clang-format off: a table, one row an entry
enum class Command : std::uint8_t {
  connect,
  helo,
  ehlo,
  mail,
  rcpt,
  data,
  message,
  rset,
  send,
  soml,
  saml,
  vrfy,
  expn,
  help,
  noop,
  quit,
  turn,
  starttls,
  auth,
  etrn,
  atrn,
};
// clang-format on

// A set of Commands as a bit mask.
using CommandSet = std::uint32_t;
constexpr CommandSet bit(Command c) { return CommandSet{1} << static_cast<unsigned>(c); }

// The published lists of reply codes from which the senses were gathered.
enum class Source : std::uint8_t { esa, faq, modusgate, wiki, maxbulk };
using SourceSet = std::uint8_t;
constexpr SourceSet bit(Source s) { return static_cast<SourceSet>(1U << static_cast<unsigned>(s)); }

// One meaning of a code, and the lists that give it; no list: only RFCs do.
struct Sense {
  std::string_view meaning;
  SourceSet sources = 0;
};

struct ReplyCode {
  int code = 0;                   // 200..599
  std::span<const Sense> senses;  // at least one
  CommandSet commands = 0;        // the commands at which the code is listed
  bool any_command = false;       // may answer whatever command (421)
  CommandSet rfc5321 = 0;         // the commands at which RFC 5321 §4.3.2 lists it
  CommandSet customary = 0;       // where MTAs answer so by default, though neither those lists nor RFC 5321 have it
  std::string_view defined_by;    // RFC, or "" where no RFC defines the code
  std::string_view sender_should;
  std::string_view admin_should;
};

// All known codes in ascending order.
std::span<const ReplyCode> reply_codes();

// Who lists a code as an answer to one of some commands.
enum class Listing : std::uint8_t { nobody, lists, rfc5321, custom };
Listing listing_of(const ReplyCode& code, CommandSet commands);

// The row of `code`, or null.
const ReplyCode* find_reply_code(int code);

// From the first digit alone; defined for 200..599.
Severity severity_of(int code);
Bounce bounce_of(int code);

// Whether the server ends the session with this reply, at whatever command (RFC 5321 §3.8).
constexpr bool closes_connection(int code) { return code == 421; }

// Second digit in words (RFC 5321 §4.2.1): "syntax", "information", "connections", "mail system", "unspecified".
std::string_view category_of(int code);

std::string_view to_string(Severity severity);
std::string_view to_string(Bounce bounce);
std::string_view to_string(Command command);
std::string_view to_string(Source source);
std::string_view to_string(Listing listing);  // for people: "listed by RFC 5321"

// Case is ignored; "dot" and "eom" are taken for "message". Nothing for an unknown name.
std::optional<Command> command_from(std::string_view name);

// Names in the order of the enumerations.
std::vector<std::string_view> names(CommandSet commands);
std::vector<std::string_view> names_of_sources(SourceSet sources);

}  // namespace replygate

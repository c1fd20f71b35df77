#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/remote/log_prefix.h"

// The grammar of mail logs: what one line tells. Each field is taken from its grammatical place: what a client or a
// remote server wrote is data, whatever it looks like. Pure; any thread; fit for a hundred thousand lines a second.
namespace replygate {

enum class LogMta : std::uint8_t { none, postfix, sendmail, exim };

// clang-format off: a table, one row an entry
enum class LogEventKind : std::uint8_t {
  none,     // no line of a mail log
  other,    // one that tells of nothing below
  login,    // a client has logged in, in the process `pid` (Sendmail)
  client,   // a message comes from a client, or from a user of this host
  named,    // its Message-ID, which is the text
  sender,   // its envelope sender, size and number of recipients; Sendmail and Exim name the client, too
  attempt,  // to deliver it
  expired,  // it was too old, and is given up
  notice,   // the sender is told, in a message of its own
  copy,     // it goes on as another message
  removed,  // nothing is left to do; its id may be used again
  refusal,  // of our own server
};
// clang-format on

// Borrows the line. What a kind does not tell is empty.
struct LogEvent {
  LogEventKind kind = LogEventKind::none;
  LogMta mta = LogMta::none;
  std::string_view host;  // that wrote the line
  std::string_view program;
  std::string_view pid;
  std::string_view id;           // of the message; "NOQUEUE" where a refusal has none
  std::string_view next;         // the id under which it, or word of it to the sender, goes on
  std::string_view client_name;  // "unknown" without a verified one
  std::string_view client_ip;
  std::string_view user;
  std::string_view mechanism;
  std::string_view sender;
  std::string_view recipient;  // Sendmail: may be several, "<a@b.example>,<c@d.example>"
  std::string_view original;   // what it was before aliases; "" where the same or not told
  std::string_view relay;      // the server that was asked, with address and port as the log has it
  std::string_view dsn;
  std::string_view status;  // "sent", "deferred" …
  std::string_view text;    // what the server said, and what is said of it
  std::string_view reply;   // Sendmail: the reply beside its own word
  std::int64_t size = 0;
  std::int64_t recipients = 0;
  bool local = false;      // of the sendmail command
  bool unasked = false;    // our server has decided by itself: neither another one nor a local delivery was asked
  bool by_filter = false;  // a milter has refused it, or a proxy
  bool whole = false;      // Sendmail has refused a message that it had begun to log, for all recipients
};

// Whoever has no final outcome of the message by now will not get it. What Exim has completed may have been cancelled,
// of which it says nothing for each recipient.
bool gives_up(const LogEvent& event);

// Lines of Postfix, Sendmail and Exim, with or without syslog's prefix.
LogEvent read_log_event(std::string_view line);
// A message of a program, as the journal keeps it. `prefix.rest` is the message.
LogEvent read_log_event(const LogPrefix& prefix);

}  // namespace replygate

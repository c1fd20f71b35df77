#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/decide/record.h"
#include "policy/remote/outcome_kind.h"

// Transactions of the past, as records and logs tell of them. Plain values.
namespace replygate {

// What was said of a recipient, or of a message.
struct PastAnswer {
  int code = 0;          // 0: let through
  std::string rule;      // that answered; "" for none
  bool unknown = false;  // since a fact or a counter could not be had
  bool limit = false;    // since a limit was full
};

struct PastRecipient {
  std::string address;
  std::string ref;
  std::uint64_t number = 0;  // when it was judged, among all recipients and messages
  Instant time;              // likewise
  std::optional<std::string> route;
  std::optional<std::int64_t> mailbox_used;
  bool mta_refused = false;
  bool dead = false;
  std::string mta_status;
  std::string mta_text;
  PastAnswer answer;
};

struct PastTransaction {
  Instant time;  // of its end
  std::string policy;
  std::string session;
  std::string ref;           // "": none is known
  std::uint64_t number = 0;  // when it was begun
  Instant begun;             // likewise
  bool timed = true;         // both are known; else all times are that of its end
  std::string client_ip;
  std::string client_name = "unknown";
  std::int64_t client_port = 0;
  std::string listener;
  std::string helo;
  Tls tls;
  std::string user;
  std::string mechanism;
  std::string sender;
  std::string queue_id;
  std::int64_t size = 0;
  std::string digest;
  bool local = false;
  Ending ending = Ending::accepted;
  PastAnswer message;
  std::vector<PastRecipient> recipients;
};

// What became of one recipient.
struct PastOutcome {
  Instant time;                                                      // it happened
  Instant counted;                                                   // limits counted it
  std::uint64_t number = std::numeric_limits<std::uint64_t>::max();  // likewise, as that of a recipient
  std::string mail;                                                  // name_of() its transaction
  std::string recipient;                                             // as it was addressed
  std::string became;  // what an alias or a forward has made of it; "": nothing else
  OutcomeKind kind = OutcomeKind::delivered;
  bool reported = false;  // by mail, and not by the log
};

// What outcomes call a transaction: by its reference, or of a log by the mail server's id and the time.
inline std::string name_of_logged(std::string_view queue_id, Instant time) {
  return std::string(queue_id) + ' ' + std::to_string(time.time_since_epoch().count());
}
inline std::string name_of(const PastTransaction& t) {
  return t.ref.empty() ? name_of_logged(t.queue_id, t.time) : t.ref;
}

}  // namespace replygate

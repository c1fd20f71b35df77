#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/decide/record.h"

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

}  // namespace replygate

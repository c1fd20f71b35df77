#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/base/time.h"
#include "policy/decide/outcome_key.h"
#include "policy/remote/outcome_kind.h"
#include "policy/remote/status.h"

namespace replygate {

// A message that the policy let through, as far as it is remembered: key facts of its record.
struct Sending {
  std::int64_t number = 0;  // in the file of outcomes; larger for later ones
  Instant time{};           // of its acceptance
  std::string queue_id;
  std::string session;
  std::string ref;     // of the record
  std::string sender;  // canonical; "" for the null sender
  std::string user;    // login, canonical; "" without
  std::string client_ip;
  std::string message_id;  // without brackets; "" where it was not seen
};

// One outcome of one recipient. Each (message, recipient) has one deferral at most, and one final outcome; a report may
// then add a complaint, and may turn `delivered` into a bounce.
struct MailOutcome {
  MailOutcome() = default;
  MailOutcome(const MailOutcome&) = delete;  // the explanation borrows from the status
  MailOutcome& operator=(const MailOutcome&) = delete;

  enum class Source : std::uint8_t { log, report };

  Instant time{};           // that the log has, or of the report's arrival
  Instant counted{};        // limits counted it, by the clock of decisions
  std::string counted_ref;  // likewise, among the references of decisions
  OutcomeKind kind = OutcomeKind::delivered;
  Source source = Source::log;
  Sending sending;
  std::string recipient;  // as the client addressed it, in our record's form
  std::string ref;        // of the decision on that recipient; "" where the MTA has added it
  std::string became;     // what it was delivered to, where an alias or a forward made it another address; else ""
  RemoteStatus status;    // what the server said
  Explained explained;    // what that means; texts live as long as the daemon's knowledge of statuses
  std::vector<OutcomeKey> keys;  // where it counts in limits
  bool local = false;            // the recipient is ours
  bool corrects = false;         // it counted as delivered before
};

// Who wants to know of outcomes. Each is told once, behind the commit that holds it, on the reader's thread; what it
// throws is said. Does not block.
class OutcomeListener {
 public:
  OutcomeListener() = default;
  OutcomeListener(const OutcomeListener&) = delete;
  OutcomeListener& operator=(const OutcomeListener&) = delete;
  virtual ~OutcomeListener() = default;
  // The reference is good during the call.
  virtual void hear(const MailOutcome& outcome) = 0;
};

}  // namespace replygate

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/decide/decide.h"
#include "policy/rules/facts.h"
#include "policy/rules/policy.h"

namespace replygate {

// One recipient of a transaction and what was said of it.
struct JudgedRecipient {
  Recipient recipient;
  Verdict verdict;
  std::string ref;
  Instant time;  // of the decision
};

// How a transaction ended, as far as a filter sees it.
enum class Ending : std::uint8_t {
  accepted,  // this policy let it through; the MTA may still refuse it
  refused,   // the message, or each of its recipients, was refused
  aborted,   // RSET, a new EHLO, QUIT, a lost session, or a refusal by the MTA itself
};

std::string_view to_string(Ending ending);

// What becomes of a message that is let through.
struct Disposition {
  bool discard = false;         // taken from the client and thrown away
  std::string hold;             // reason for the MTA's hold queue; "" delivers it
  std::vector<Header> headers;  // to be added
};

// One transaction and its decisions. A value that owns what it says, but for `door`, which is a literal.
struct Record {
  std::shared_ptr<const Policy> policy;
  Instant time;           // of its end
  Instant begun;          // its MAIL command; without one, its end
  std::string_view door;  // "milter", "policy_service"
  std::string session;
  std::string ref;  // of the transaction
  Connection connection;
  Transaction transaction;
  std::vector<JudgedRecipient> recipients;
  Verdict message;          // on the message as a whole, of all its stages
  Disposition disposition;  // of an accepted one
  Ending ending = Ending::aborted;
};

// Where records go. Implementations are safe for any number of threads and do not block.
class RecordSink {
 public:
  RecordSink() = default;
  RecordSink(const RecordSink&) = delete;
  RecordSink& operator=(const RecordSink&) = delete;
  virtual ~RecordSink() = default;
  // What it throws loses this record, and nothing else.
  virtual void write(Record record) = 0;
};

// Keeps nothing.
class NoRecords final : public RecordSink {
 public:
  void write(Record) override {}
};

// One line of JSON with LF; keys as conf/LOG.md lists them. Whatever the input, the line is one event and valid UTF-8.
std::string to_json(const Record& record);

// One line a recipient (one in all for a message without), key=value, with LF.
std::string to_logfmt(const Record& record);

}  // namespace replygate

#pragma once

#include <boost/json/array.hpp>
#include <string>

#include "milter/outcome/outcome.h"

namespace replygate {

class History;
class Tail;

// The record of an outcome as a line of JSON with LF; conf/LOG.md has the keys.
std::string outcome_line(const MailOutcome& outcome);

// Keeps outcomes in the history, where they are found with the record of their message, and shows them to those who
// watch. On the reader's thread.
class OutcomeChronicle final : public OutcomeListener {
 public:
  // `history` may be null; both outlive it.
  OutcomeChronicle(History* history, Tail& tail) : history_(history), tail_(tail) {}

  void hear(const MailOutcome& outcome) override;

 private:
  History* history_;
  Tail& tail_;
};

}  // namespace replygate

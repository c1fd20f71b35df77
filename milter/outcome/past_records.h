#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/outcome/mail_logs.h"
#include "policy/count/limit.h"
#include "policy/rules/facts.h"
#include "policy/scenario/past.h"

namespace replygate {

// Where the past is read from: our own history, or logs of mail servers.
struct PastSource {
  std::string history;             // a folder; "": logs
  std::vector<std::string> files;  // of logs
};

// Whether a source tells what became of the mail: a log does, a history whose daemon followed one. On failure the
// reason, for people.
tl::expected<bool, std::string> tells_outcomes(const PastSource& source);

// What a source cannot tell.
struct Ignorance {
  std::string_view source;  // for people
  FactSet beyond = 0;       // facts
  std::vector<Unit> units;  // what cannot be counted
};
Ignorance ignorance_of(const PastSource& source, bool outcomes);

struct PastFigures {
  std::int64_t transactions = 0;
  std::int64_t outcomes = 0;  // that somebody wanted
  std::int64_t left_out = 0;  // records of refusals by the policy service, which the milter did not judge
  LogFigures log;             // of logs
};

// A record of conf/LOG.md; nothing for what is none, or was judged at another door than the milter.
std::optional<PastTransaction> past_of_record(std::string_view json);
// A record of an outcome; nothing for any other.
std::optional<PastOutcome> past_outcome_of_record(std::string_view json);
// `number`: how many were before it.
PastTransaction past_of_mail(const LoggedMail& mail, std::uint64_t number);

// Who takes what a source has.
struct PastTaker {
  std::function<void(PastTransaction)> transaction;
  std::function<void(PastOutcome)> outcome = {};  // empty: nobody wants them
};

// Hands on what a source has: transactions in the order in which they ended, outcomes roughly in the order in which
// they were counted. On failure the reason, for people.
tl::expected<PastFigures, std::string> read_past(const PastSource& source, const PastTaker& take,
                                                 const TellProgress& progress);

}  // namespace replygate

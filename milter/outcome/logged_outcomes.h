#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "policy/remote/mail_trail.h"
#include "policy/scenario/past.h"

namespace replygate {

// What became of the mail of a log that is over: of the attempts to deliver each recipient's first deferral and its
// final outcome, as the ledger tells them of a log that is followed. Bounded: of more than a million recipients those
// of the oldest mail are forgotten. One thread.
class LoggedOutcomes {
 public:
  using Take = std::function<void(PastOutcome)>;
  // `book` outlives it.
  LoggedOutcomes(StatusBook& book, Take take) : book_(book), take_(std::move(take)) {}

  void attempt(Instant now, const LoggedMail& mail, const LogEvent& event, std::string_view recipient);
  // Whoever has no final outcome will not get it.
  void expired(Instant now, const LoggedMail& mail);

 private:
  struct State {
    std::string recipient;  // as it was addressed
    std::string became;
    std::optional<OutcomeKind> kind;  // nothing: no attempt was told yet
    Reason reason = Reason::unspecified;
  };
  using States = boost::unordered_flat_map<std::string, State>;  // by the address that was tried

  State& state_of(const LoggedMail& mail, const LogEvent& event, std::string_view recipient);
  void tell(Instant now, const LoggedMail& mail, const State& state);
  void forget_old();

  StatusBook& book_;
  Take take_;
  boost::unordered_flat_map<std::string, States> mails_;
  std::deque<std::string> order_;  // of the mails
  std::size_t recipients_ = 0;
};

}  // namespace replygate

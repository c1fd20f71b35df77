#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "policy/remote/mail_trail.h"
#include "policy/scenario/past.h"

namespace replygate {

// What became of the mail of a log that is over: of the attempts to deliver each recipient's first deferral and its
// final outcome, as the ledger tells them of a log that is followed. Keeps mail that is under way; bounded: of more
// than a million recipients those of the oldest mail are forgotten. One thread.
class LoggedOutcomes {
 public:
  using Take = std::function<void(PastOutcome)>;
  // `book` outlives it.
  LoggedOutcomes(StatusBook& book, Take take) : book_(book), take_(std::move(take)) {}

  void attempt(Instant now, const LoggedMail& mail, const LogEvent& event, std::string_view recipient);
  // Whoever was deferred under this id will not get it.
  void expired(Instant now, const LoggedMail& mail, std::string_view id);
  // No more attempts will come.
  void over(const LoggedMail& mail);
  std::size_t recipients() const { return recipients_; }  // that are kept

 private:
  struct State {
    std::string recipient;            // as it was addressed
    bool made = false;                // by an alias or a forward, of what was addressed
    std::optional<OutcomeKind> kind;  // nothing: no attempt was told yet
    Reason reason = Reason::unspecified;
    std::uint64_t under = 0;  // hash of the id of the last attempt
  };
  using States = std::map<std::string, State>;  // by the address that was tried
  struct Mail {
    States states;
    std::list<std::string>::iterator place;
  };

  using Mails = boost::unordered_flat_map<std::string, Mail>;

  States::value_type& state_of(const LoggedMail& mail, const LogEvent& event, std::string_view recipient);
  void tell(Instant now, const LoggedMail& mail, const States::value_type& one);
  void forget(Mails::iterator mail);
  void forget_old();

  StatusBook& book_;
  Take take_;
  Mails mails_;
  std::list<std::string> order_;  // of the mails
  std::size_t recipients_ = 0;
};

}  // namespace replygate

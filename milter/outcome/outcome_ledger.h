#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "milter/outcome/outcome.h"
#include "milter/outcome/outcome_file.h"
#include "policy/remote/mail_trail.h"

namespace replygate {

// Makes outcomes of what a mail log tells: joins each attempt with the message that we let through, and keeps in the
// file what became of each recipient. All within a transaction of the file, which its owner begins and ends. One
// thread.
class OutcomeLedger final : private MailTrail::Listener {
 public:
  struct Figures {
    std::int64_t attempts = 0;  // to deliver, that the log told
    std::int64_t unknown = 0;   // of them: of messages that we know nothing of
    std::int64_t outcomes = 0;
  };

  // `file` and `book` outlive it.
  OutcomeLedger(OutcomeFile& file, StatusBook& book) : file_(file), book_(book), trail_(*this) {}

  // An event of the log. `again`: it was taken before, by a predecessor, and is only to be remembered.
  void take(Instant time, const LogEvent& event, bool again);

  // What came of it since the last call, in its order.
  std::deque<MailOutcome> outcomes();
  const Figures& figures() const { return figures_; }

 private:
  void mail(const LoggedMail&) override {}
  void refusal(Instant, const LogEvent&) override {}
  void attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
               bool handed_on) override;
  void expired(Instant now, const LoggedMail* mail) override;

  void note_ids(const LogEvent& event);
  void note_attempt(Instant now, std::int64_t number, const LogEvent& event, std::string_view recipient);
  MailOutcome& tell(Instant now, OutcomeKind kind, const Sending& sending, std::string_view recipient,
                    const OutcomeFile::State& state);

  OutcomeFile& file_;
  StatusBook& book_;
  MailTrail trail_;
  bool again_ = false;
  std::string id_;  // of the event at hand
  std::deque<MailOutcome> outcomes_;
  Figures figures_;
};

}  // namespace replygate

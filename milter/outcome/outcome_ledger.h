#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

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

  // An event of the log. What was told before changes nothing. `again`: it may have been taken before, by a
  // predecessor.
  void take(Instant time, const LogEvent& event, bool again);

  // A report that came by mail: what it says of each recipient, and the ids by which the message may be found.
  struct Report {
    std::vector<RemoteStatus> statuses;
    std::vector<std::string> queue_ids;
    std::vector<std::string> message_ids;
  };
  // What was made of one status.
  struct Read {
    enum class Fate : std::uint8_t { counted, known, unknown, nothing };
    Fate fate = Fate::nothing;
    std::string recipient;
    std::optional<OutcomeKind> kind;
    Reason reason = Reason::unspecified;
    Sending sending;  // of what is known
  };
  std::vector<Read> take(Instant now, const Report& report);

  // What came of it since the last call, in its order.
  std::deque<MailOutcome> outcomes();
  const Figures& figures() const { return figures_; }

 private:
  void mail(const LoggedMail&) override {}
  void refusal(Instant, const LogEvent&) override {}
  void attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
               bool handed_on) override;
  void expired(Instant, const LoggedMail*, std::string_view) override {}
  bool is_known(const LoggedMail& mail) override { return message_of(mail.id, mail.time) != 0; }
  void gone(std::string_view id) override { file_.forget_id(id); }

  bool may_be_ours(const LogEvent& event) const;
  bool is_ours(const LogEvent& event, const LoggedMail* mail, std::int64_t number);
  std::int64_t message_of(std::string_view id, Instant time);
  void give_up(Instant now, std::string_view id);
  void note_ids(const LogEvent& event);
  void note_name(const LogEvent& event);
  void note_attempt(Instant now, std::int64_t number, const LogEvent& event, std::string_view recipient);
  OutcomeFile::State state_of(std::int64_t number, const std::string& address, const LogEvent& event);
  Read take(Instant now, std::int64_t number, const RemoteStatus& status);
  std::optional<OutcomeFile::State> state_of_hidden(std::int64_t number, Read& read);
  std::vector<std::int64_t> named_by(const Report& report);
  MailOutcome& tell(Instant now, const Sending& sending, const std::string& address, const OutcomeFile::State& state);

  OutcomeFile& file_;
  StatusBook& book_;
  MailTrail trail_;
  bool again_ = false;
  std::set<std::string, std::less<>> hosts_;                   // whose mail was seen to be ours
  boost::unordered_flat_map<std::string, std::string> names_;  // Message-IDs of what comes just now, by id
  std::deque<MailOutcome> outcomes_;
  Figures figures_;
};

}  // namespace replygate

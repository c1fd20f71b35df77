#pragma once

#include <boost/json/object.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/remote/mail_trail.h"
#include "policy/remote/outcome_kind.h"
#include "policy/remote/status_book.h"

namespace replygate {

// What happened in a time, from records and from the log of the MTA: both or one of them. Bounded: of each kind so many
// are kept, others are counted. One thread.
class DayReport final : public MailTrail::Listener {
 public:
  // Of one kind of event: how many, and one of them to look at.
  struct Tally {
    std::int64_t count = 0;
    std::int64_t waiting = 0;  // of them: mail that is still deferred
    std::string example;       // what `why`, `explain` or `quota show` take
    std::string text;          // of the first one
    Instant last{};
  };
  // By up to four words: rule, class, bounce and reason; provider, reason and advice. Reasons are those of
  // policy/remote, of what we refuse and of what others do.
  using Kinds = std::map<std::vector<std::string>, Tally>;
  struct Limit {
    std::string rule;
    std::string key;
    std::string window;
    double part = 0;  // of the limit
    bool full = false;
  };

  // `book` outlives it.
  DayReport(Instant since, StatusBook& book) : since_(since), book_(book) {}
  // There are none: what filters have refused is told by the log alone.
  void without_records() { records_ = false; }

  // A record of a decision or an outcome. `log_follows`: a log is read afterwards, which may tell the outcome again.
  void record(const boost::json::object& record, Instant time, bool log_follows = false);
  void mail(const LoggedMail&) override {}
  void attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
               bool handed_on) override;
  void unowned(Instant now, const LogEvent& event, std::string_view recipient, bool handed_on) override;
  void refusal(Instant now, const LogEvent& event) override;
  void expired(Instant now, const LoggedMail* mail, std::string_view id) override;
  void finish();  // what is still deferred

  std::vector<Limit> fullest(std::size_t most) const;  // that were nearly full or full
  bool is_silent() const;
  Instant since() const { return since_; }

  std::int64_t transactions = 0;
  std::int64_t passed = 0;  // recipients
  std::int64_t refused = 0;
  std::int64_t delivered = 0;
  std::int64_t bounced = 0;
  std::int64_t waiting = 0;
  std::int64_t unknown = 0;  // of these three: of mail that came before the log begins
  Kinds blocked;             // they refuse us: provider, reason
  Kinds failed;              // other bounces: provider, reason
  Kinds deferred;            // still: provider, reason
  Kinds dead;                // addresses: recipient, reason
  Kinds complaints;          // reports of spam: login or sender
  Kinds refusals;            // of ours: rule, class, bounce, reason
  Kinds observed;            // what rules in observe mode would have done: rule, what
  Kinds own;                 // the MTA's own: reply, reason
  Kinds fresh;               // rules that answered, and had not before the time
  Kinds policies;            // ids that served
  std::string last_policy_before;

 private:
  // What is told of a failed attempt: who said what, why and what to do.
  struct Failure {
    std::string who = {};
    Reason reason = Reason::unspecified;
    std::string advice = {};
    std::string text = {};
    std::string recipient = {};
    bool dead = false;
    bool unowned = false;    // nobody knows who sent it
    std::string under = {};  // the id of the last attempt; "": that of the message
  };
  // That a record has told.
  struct End {
    Instant time{};
    bool corrects = false;
  };
  using Waiting = std::map<std::string, std::pair<Failure, Instant>, std::less<>>;  // by recipient

  static Tally& note(Kinds& kinds, std::vector<std::string> words, std::string_view example, std::string_view text,
                     Instant time);
  void judged(const boost::json::object& judged, const boost::json::object& record, Instant time);
  void outcome(const boost::json::object& outcome, const boost::json::object& record, Instant time, bool log_follows);
  void would_have(const boost::json::object& judged, const boost::json::object& record, Instant time);
  void limits(const boost::json::object& judged);
  Failure failure_of(const RemoteStatus& status);
  static Failure failure_in(const boost::json::object& outcome, OutcomeKind kind);
  void ended(const Failure& failure, std::string_view id, Kinds& others, Instant time);
  // `recipient`: as it was tried.
  void take_end(OutcomeKind kind, Failure failure, const std::string& id, std::string_view recipient, Instant time);
  void take_attempt(Instant now, const std::string& id, const LogEvent& event, std::string_view recipient,
                    bool unowned);
  void expire(Instant now, const std::string& id, std::string_view under);
  bool is_owned(const std::string& id, std::string_view recipient) const;
  bool is_told(OutcomeKind kind, std::string_view id, std::string_view recipient, Instant time) const;

  Instant since_;
  StatusBook& book_;
  bool records_ = true;
  boost::unordered_flat_set<std::string> known_rules_;
  boost::unordered_flat_map<std::string, Limit> limits_;      // by rule, key and window
  boost::unordered_flat_map<std::string, Waiting> deferred_;  // by id
  std::size_t kept_ = 0;                                      // recipients in it
  boost::unordered_flat_map<std::uint64_t, End> told_;        // hashes of id and recipient
};

}  // namespace replygate

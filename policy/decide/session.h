#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/callback.h"
#include "policy/decide/gate.h"
#include "policy/decide/own_connections.h"
#include "policy/decide/record.h"
#include "policy/decide/refs.h"
#include "policy/mail/digest.h"
#include "policy/rules/kept_truths.h"

namespace replygate {

struct ConnectEvent {
  std::optional<IpAddress> ip;
  std::string name = "unknown";
  std::int64_t port = 0;
  std::string listener;
  bool local_submission = false;
  std::optional<IpAddress> server = std::nullopt;  // where the client came to; nothing, and 0: it is not told
  std::int64_t server_port = 0;
};

struct MailEvent {
  std::string sender;                   // as the client wrote it, brackets and all
  std::vector<std::string> parameters;  // ESMTP, "SIZE=1000"
  std::string rewritten;                // the MTA's own canonical form, "" where it gives none
  std::string user;                     // login, "" without
  std::string mechanism;
  Tls tls;
  std::string queue_id;
};

struct RcptEvent {
  std::string recipient;
  std::string rewritten;
  std::optional<std::string> route;  // the MTA's mailer
  bool mta_refused = false;
  std::string mta_status;
  std::string mta_text;
};

// What the MTA is told: go on, or a refusal; and at the end of a message what to do with it.
struct Answer {
  std::optional<Reply> refusal;
  Disposition disposition;
  const Rule* rule = nullptr;  // that refuses; of the session's policy
};

// Whether a recipient is neither local nor relayed, as the site's lists tell it, or without such lists the MTA's
// mailer; nothing where that cannot be told.
std::optional<bool> is_external(const Recipient& recipient, const Site& site);

// How full mailboxes are. Implementations are safe for any number of threads and do not block.
class Mailboxes {
 public:
  using Told = std::function<void(MailboxUse)>;

  Mailboxes() = default;
  Mailboxes(const Mailboxes&) = delete;
  Mailboxes& operator=(const Mailboxes&) = delete;
  virtual ~Mailboxes() = default;

  // `size`: octets that shall fit, 0 where that is not known. `told` is called exactly once, before the call returns or
  // later, on any thread, within the time that the implementation promises.
  virtual void used(const Address& recipient, std::int64_t size, Told told) = 0;
};

// Which addresses of others are dead. Implementations are safe for any number of threads and do not block.
class DeadAddresses {
 public:
  DeadAddresses() = default;
  DeadAddresses(const DeadAddresses&) = delete;
  DeadAddresses& operator=(const DeadAddresses&) = delete;
  virtual ~DeadAddresses() = default;
  virtual bool is_dead(const Address& recipient) const = 0;
};

// One SMTP session as a door sees it: adds what it is told to the facts, asks the gate, remembers the answers that
// must wait, settles reservations when the fate of a message is known, and hands out one record a transaction.
//
// Used by one thread at a time; the next event comes only after the answer to the last. `done` is called exactly once
// for each event that takes one, before the call returns or later. All services outlive the session.
class Session {
 public:
  using Done = Callback<void(Answer&&)>;
  struct Services {
    Gate& gate;
    RecordSink& sink;
    References& references;
    Mailboxes* mailboxes = nullptr;       // null: mailbox_used is unknown
    const OwnConnections* own = nullptr;  // what comes over them passes, and counts for nothing; null: there are none
    const DeadAddresses* dead = nullptr;  // null: no address is known to be dead
  };

  // What a door is called in records, and which rules it can judge.
  struct Door {
    std::string_view name = "milter";
    bool counters = true;
    bool early = true;  // can refuse before MAIL
    FactSet beyond = 0;
  };

  Session(std::shared_ptr<const Policy> policy, Services services, const Door& door);
  ~Session();  // gives back what an open transaction holds; without a record
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // A 421 decided at connect or HELO is given at once, and ends the session. Every other refusal is remembered and
  // given at MAIL, where every MTA passes code and text on; that of a limit, also one decided at MAIL, to each
  // recipient but postmaster.
  void connect(ConnectEvent event, Instant now, Done done);
  void helo(const std::string& name, Instant now, Done done);  // ends an open transaction as aborted
  // Ends an open transaction as aborted, then begins one. Events of a transaction that is not open, because door and
  // MTA disagree, are refused for now.
  void mail(MailEvent event, Instant now, Done done);
  void rcpt(RcptEvent event, Instant now, Done done);
  void data(Instant now, Done done);
  // One field of the message, unfolded or not, without the blank behind the colon; `octets` is its size in the message.
  void header(std::string_view name, std::string_view value, std::int64_t octets);
  void end_of_headers(Instant now, Done done);
  void body(std::string_view octets);
  // In place of headers and body, for a message of which no more is known.
  void content(std::int64_t octets, std::string digest);
  void end_of_message(Instant now, Done done);

  // Facts that cannot be known from now on, in place of those of the door.
  void beyond(FactSet facts) { door_.beyond = facts; }
  // The MTA's id of the message, when it becomes known.
  void queue_id(std::string_view id);
  // The MTA gave the message up; nothing happens where none is open.
  void abort(Instant now);
  // The door could not make sense of something: the present event must be refused for now, or let pass, as the
  // policy's on_error says.
  Answer internal_error() const;
  // The event under way has failed: the message, whose counts may be in any state, ends as aborted unless on_error lets
  // it pass.
  void fail(Instant now) noexcept;

  // Octets, roughly, that it keeps of the open message and of counters within the session.
  std::size_t footprint() const;

  bool in_transaction() const { return open_ != nullptr; }
  // What a limit has to say to each recipient but postmaster; null: nothing.
  const Verdict* waiting() const { return open_ == nullptr ? nullptr : open_->limited.get(); }

 private:
  class Due;
  struct Forget {
    void operator()(Due* due) const;
  };

  // What is said of the session or the message as a whole. Where a limit refuses, `verdict` is what is said besides.
  struct Said {
    Verdict verdict;
    std::shared_ptr<const Verdict> limited;  // for all but postmaster; null: no limit refuses
    std::shared_ptr<const Verdict>
        spared;              // for postmaster, where a full limit has ended it for others; null: the same
    ReservationId held = 0;  // of the session
  };
  using Heard = Callback<void(Said&&), 96>;

  // What rules that are no refusals make of the rest of a message.
  struct Effect {
    std::size_t before = std::numeric_limits<std::size_t>::max();  // rules from here on are not asked
    Disposition disposition;

    void note(const Rule& rule);
  };

  // A transaction and what was decided in it; replaced as a whole.
  struct Open {
    Transaction facts;
    std::string ref;
    Instant begun;
    std::vector<JudgedRecipient> recipients;
    Verdict message;                         // of all stages that judge the message as a whole
    std::shared_ptr<const Verdict> limited;  // waits for recipients; null: nothing does
    std::shared_ptr<const Verdict> spared;   // waits for postmaster; null: nothing does
    std::unique_ptr<ContentDigest> digest;   // null where no rule wants it
    boost::container::small_vector<ReservationId, 4> reservations;
    Once counted;
    std::unique_ptr<KeptTruths> kept;  // from the second recipient on; null: nothing is worth it
    std::int64_t others = 0;           // recipients kept that are not postmaster
    std::size_t octets = 0;
    Effect effect;
    Effect of_limits;      // that were full before the recipients were known; not for postmaster
    Effect of_postmaster;  // in their place
  };

  // Whether the rest is for postmaster, as far as that is known.
  bool spares(Stage stage) const;
  Question question(Stage stage, bool sparing) const;
  Question question(Stage stage) const { return question(stage, spares(stage)); }
  bool is_own() const;
  bool refuses(const Verdict& verdict) const;
  bool closes(const Verdict& verdict) const;
  void judge_whole(Stage stage, Instant now, Heard heard);
  void judge_without_limits(Stage stage, Instant now, const std::function<void(Verdict)>& heard);
  void judge_besides(Stage stage, Instant now, Verdict limited, const Heard& heard);
  void judge_for_postmaster(Stage stage, Instant now, Said said, const Heard& heard);
  bool ended_by_limit(Stage stage, const Verdict& verdict) const;
  void judge_session(Stage stage, Instant now, Done done);
  Answer close_early(const Verdict& verdict, Instant now);
  void begin_message(Instant now, Done done);
  void judge_message(Stage stage, Instant now, Done done);
  void end_stage(Stage stage, Verdict&& verdict, Instant now, const Done& done);
  void answer_stage(Stage stage, Verdict&& verdict, Instant now, const Done& done);
  void note_stage(Verdict&& verdict);
  void escalate(Verdict verdict, Instant now, const std::function<void(Verdict)>& heard);
  void refuse_waiting(const Verdict& waiting, Instant now, const Done& done);
  void keep_truths();
  void judge_recipient(Instant now, Done done);
  void answer_recipient(Instant now, const Done& done);
  void replied(const Verdict& verdict, const Question& asked, const Facts& facts, const std::function<void()>& done);
  void accept(Instant now, const Done& done);
  Done once(Done done, Instant now);
  void record(Ending ending, Open&& ended, Instant now) noexcept;
  void note_acceptance(const Verdict& verdict);
  void note_waiting(const Said& said);
  bool spares_postmaster(const Rule& rule) const;
  void dispose();
  void note_headers(Verdict& verdict);
  Facts facts_now(Instant now);
  ReservationId adopt(const Judgement& judgement);
  Answer answer_for(const Verdict& verdict);
  void finish(Ending ending, Instant now);

  std::shared_ptr<const Policy> policy_;
  Services services_;
  Door door_;
  std::string id_;
  Connection connection_;
  Tally tally_;
  Once counted_;
  Answers answers_;                         // of live sources, to what is asked of the present message
  std::unique_ptr<const Said> at_connect_;  // null where nothing was said
  std::unique_ptr<const Said> at_helo_;
  std::unique_ptr<Open> open_;
  std::size_t usual_recipients_ = 1;  // as many as the last message had, from 1 to a bound
  Instant last_{};                    // event
  std::unique_ptr<Due, Forget> due_;  // of the event that was told last; others may hold it, too
};

}  // namespace replygate

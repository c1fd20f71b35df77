#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/digest.h"
#include "policy/gate.h"
#include "policy/record.h"
#include "policy/refs.h"

namespace replygate {

struct ConnectEvent {
  std::optional<IpAddress> ip;
  std::string name = "unknown";
  std::int64_t port = 0;
  std::string listener;
  bool local_submission = false;
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

// How full mailboxes are. Implementations are safe for any number of threads and do not block.
class Mailboxes {
 public:
  using Told = std::function<void(std::optional<std::int64_t> percent)>;  // nothing: cannot be told

  Mailboxes() = default;
  Mailboxes(const Mailboxes&) = delete;
  Mailboxes& operator=(const Mailboxes&) = delete;
  virtual ~Mailboxes() = default;

  // `size`: octets that shall fit, 0 where that is not known. `told` is called exactly once, before the call returns or
  // later, on any thread, within the time that the implementation promises.
  virtual void used(const Address& recipient, std::int64_t size, Told told) = 0;
};

// One SMTP session as a door sees it: adds what it is told to the facts, asks the gate, remembers the answers that
// must wait, settles reservations when the fate of a message is known, and hands out one record a transaction.
//
// Used by one thread at a time; the next event comes only after the answer to the last. `done` is called exactly once
// for each event that takes one, before the call returns or later. All services outlive the session.
class Session {
 public:
  using Done = std::function<void(Answer)>;
  struct Services {
    Gate& gate;
    RecordSink& sink;
    References& references;
    Mailboxes* mailboxes = nullptr;  // null: mailbox_used is unknown
  };

  // What a door is called in records, and which rules it can judge.
  struct Door {
    std::string_view name = "milter";
    bool counters = true;
    bool early = true;  // can refuse before MAIL
    FactSet beyond = 0;
  };

  Session(std::shared_ptr<const Policy> policy, Services services, const Door& door);

  // A 421 decided at connect or HELO is given at once, and ends the session. Every other refusal is remembered and
  // given at MAIL, where every MTA passes code and text on.
  void connect(ConnectEvent event, Instant now, Done done);
  void helo(std::string name, Instant now, Done done);
  // Ends an open transaction as aborted, then begins one. Events of a transaction that is not open, because door and
  // MTA disagree, are refused for now.
  void mail(MailEvent event, Instant now, Done done);
  void rcpt(RcptEvent event, Instant now, Done done);
  void data(Instant now, Done done);
  // One field of the message, unfolded or not, without the blank behind the colon; `octets` is its size in the message.
  void header(std::string_view name, std::string_view value, std::int64_t octets);
  void end_of_headers(Instant now, Done done);
  void body(std::string_view octets);
  void end_of_message(Instant now, Done done);

  // The MTA's id of the message, when it becomes known.
  void queue_id(std::string_view id);
  // The MTA gave the message up; nothing happens where none is open.
  void abort(Instant now);
  // The door could not make sense of something: the present event must be refused for now, or let pass, as the
  // policy's on_error says.
  Answer internal_error() const;

  // Octets, roughly, that it keeps of the open message and of counters within the session.
  std::size_t footprint() const;

  bool in_transaction() const { return open_ != nullptr; }

 private:
  // A transaction and what was decided in it; replaced as a whole.
  struct Open {
    Transaction facts;
    std::string ref;
    std::vector<JudgedRecipient> recipients;
    Verdict message;  // of all stages that judge the message as a whole
    Disposition disposition;
    std::unique_ptr<ContentDigest> digest;  // null where no rule wants it
    std::vector<ReservationId> reservations;
    TextTable charged;
    std::size_t octets = 0;
    std::size_t before = std::numeric_limits<std::size_t>::max();  // rules from here on are not asked
  };

  Question question(Stage stage) const;
  AddressContext address_context() const;
  void judge_session(Stage stage, Instant now, Done done);
  Answer close_early(const Verdict& verdict, Instant now);
  void judge_message(Stage stage, Instant now, Done done);
  void judge_recipient(Instant now, Done done);
  void accept(Instant now, const Done& done);
  void give_back(std::vector<ReservationId> reservations, Instant now);
  void note_acceptance(const Verdict& verdict);
  void note_headers(Verdict& verdict);
  Facts facts_now(Instant now) const;
  void hold(Judgement& judgement);
  Address canonical_recipient(const RcptEvent& event) const;
  std::optional<bool> is_external(const Recipient& recipient) const;
  Answer answer_for(const Verdict& verdict);
  void finish(Ending ending, Instant now);

  std::shared_ptr<const Policy> policy_;
  Services services_;
  Door door_;
  std::string id_;
  Connection connection_;
  Tally tally_;
  std::unique_ptr<const Verdict> at_connect_;  // null where nothing was said
  std::unique_ptr<const Verdict> at_helo_;
  std::unique_ptr<Open> open_;
};

}  // namespace replygate

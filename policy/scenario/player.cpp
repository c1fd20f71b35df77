#include "policy/scenario/player.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/decide/outcomes.h"
#include "policy/scenario/fates.h"

namespace replygate {
namespace {

std::string bracketed(std::string_view address) {
  return address.starts_with('<') ? std::string(address) : fmt::format("<{}>", address);
}

void note_finding(const Verdict& verdict, Delivered& delivered) {
  if (verdict.refusal) {
    delivered.rule = verdict.refusal->rule->name;
    delivered.classification = verdict.refusal->classification->slug;
  } else if (verdict.accepted_by != nullptr) {
    delivered.rule = verdict.accepted_by->name;
  }
}

}  // namespace

// The mailbox of every recipient is as full as the scenario says.
class Player::KnownMailbox final : public Mailboxes {
 public:
  explicit KnownMailbox(std::optional<std::int64_t> percent) : use_(MailboxUse::maybe(percent)) {}
  void used(const Address&, std::int64_t, Mailboxes::Told told) override { told(use_); }

 private:
  MailboxUse use_;
};

// Takes from the record which rules have answered.
class Player::Sink final : public RecordSink {
 public:
  Sink(Played& played, std::optional<Record>& last) : played_(played), last_(last) {}

  void write(Record record) override {
    played_.disposition = record.disposition;
    note_observed(record.message);
    const bool message_refused = record.message.refusal.has_value();
    for (std::size_t i = 0; i < record.recipients.size() && i < played_.recipients.size(); ++i) {
      note_observed(record.recipients[i].verdict);
      note_finding(record.recipients[i].verdict, played_.recipients[i]);
    }
    for (Delivered& delivered : played_.recipients) {
      if (!delivered.reply && (message_refused || delivered.rule.empty())) note_finding(record.message, delivered);
    }
    last_ = std::move(record);
  }

 private:
  void note_observed(const Verdict& verdict) {
    for (const Finding& finding : verdict.observed) played_.observed.push_back(finding.rule->name);
    for (const Rule* rule : verdict.observed_actions) played_.observed.push_back(rule->name);
  }

  Played& played_;
  std::optional<Record>& last_;
};

Player::Player(std::shared_ptr<const Policy> policy, Witness* witness, Mailboxes* mailboxes, Lookups* lookups)
    : policy_(std::move(policy)), lookups_(lookups), gate_(store_, witness, &lookups_), mailboxes_(mailboxes) {}

// One session on its way through its events; nothing is said any more once the message as a whole is refused.
class Player::Dialogue {
 public:
  Dialogue(Session& session, const Given& given, Instant now) : session_(session), given_(given), now_(now) {}

  void begin() {
    session_.connect({.ip = given_.client,
                      .name = given_.client_name,
                      .port = given_.local_submission ? 0 : given_.port,
                      .listener = given_.listener,
                      .local_submission = given_.local_submission},
                     now_, whole());
    if (!refusal_) session_.helo(given_.helo, now_, whole());
    if (!refusal_) mail();
  }

  // A reply that closes the connection takes the message with it, and the recipients that were kept.
  void rcpt(Delivered& delivered) {
    if (refusal_) return;
    session_.rcpt({.recipient = bracketed(delivered.recipient),
                   .route = given_.route,
                   .mta_refused = given_.mta_refused,
                   .mta_status = given_.mta_refused ? "5.1.1" : "",
                   .mta_text = given_.mta_refused ? "User unknown" : ""},
                  now_, [&](const Answer& answer) { delivered.reply = answer.refusal; });
    if (!delivered.reply && !given_.mta_refused) ++kept_;
    if (!delivered.reply || !closes_connection(delivered.reply->code())) return;
    refusal_ = delivered.reply;
    closed_by_ = &delivered;
  }

  void content() {
    if (refusal_ || kept_ == 0) return;
    session_.data(now_, whole());
    if (refusal_) return;
    std::int64_t octets = 2;
    for (const auto& [name, value] : given_.headers) {
      const auto size = static_cast<std::int64_t>(name.size() + value.size() + 4);
      octets += size;
      session_.header(name, value, size);
    }
    session_.end_of_headers(now_, whole());
    if (refusal_) return;
    session_.body(given_.body);
    fill(given_.size - octets - static_cast<std::int64_t>(given_.body.size()));
    session_.end_of_message(now_, whole());
  }

  // Where nobody is addressed the answer is what each recipient would get.
  void ask(Delivered& delivered) const {
    const Verdict* waiting = refusal_ ? nullptr : session_.waiting();
    if (waiting == nullptr) return;
    delivered.reply = waiting->refusal->reply;
    note_finding(*waiting, delivered);
  }

  // What becomes of a recipient that got no reply of its own.
  void conclude(Delivered& delivered) const {
    if (!refusal_ || delivered.reply) return;
    delivered.reply = refusal_;
    if (closed_by_ == nullptr) return;
    delivered.closed = true;
    delivered.rule = closed_by_->rule;
    delivered.classification = closed_by_->classification;
  }

 private:
  Session::Done whole() {
    return [this](const Answer& answer) { refusal_ = answer.refusal; };
  }

  void mail() {
    std::vector<std::string> parameters = given_.parameters;
    if (given_.size > 0) parameters.push_back(fmt::format("SIZE={}", given_.size));
    session_.mail({.sender = bracketed(given_.from),
                   .parameters = std::move(parameters),
                   .user = given_.user,
                   .mechanism = given_.user.empty() ? "" : given_.mechanism,
                   .tls = given_.tls,
                   .queue_id = "4TEST"},
                  now_, whole());
  }

  void fill(std::int64_t missing) {
    const std::string filler(1 << 16, 'x');
    for (; missing > 0; missing -= 1 << 16) {
      session_.body(
          std::string_view(filler).substr(0, static_cast<std::size_t>(std::min<std::int64_t>(missing, 1 << 16))));
    }
  }

  Session& session_;
  const Given& given_;
  Instant now_;
  std::optional<Reply> refusal_;
  const Delivered* closed_by_ = nullptr;  // the recipient whose reply has ended the session
  std::size_t kept_ = 0;
};

Played Player::play(const Given& given, const std::vector<std::string>& recipients, Instant now) {
  Played played;
  for (const std::string& recipient : recipients) played.recipients.push_back({.recipient = recipient});
  if (recipients.empty()) played.recipients.emplace_back();
  last_.reset();
  Sink sink(played, last_);
  lookups_.take(given);
  KnownMailbox told(given.mailbox_used);
  Mailboxes* mailboxes = given.mailbox_used || mailboxes_ == nullptr ? &told : mailboxes_;
  dead_.all = given.recipient_dead;
  Session session(policy_, {gate_, sink, references_, mailboxes, nullptr, &dead_}, {});
  Dialogue dialogue(session, given, now);
  dialogue.begin();
  for (Delivered& delivered : played.recipients) {
    recipients.empty() ? dialogue.ask(delivered) : dialogue.rcpt(delivered);
  }
  dialogue.content();
  session.abort(now);
  for (Delivered& delivered : played.recipients) dialogue.conclude(delivered);
  return played;
}

void Player::tell(const Outcomes& outcomes, Instant now) {
  if (!last_) return;
  const bool unmeant = last_->transaction.sender.form == Address::Form::null;
  std::vector<const JudgedRecipient*> kept;
  for (const JudgedRecipient& judged : last_->recipients) {
    if (was_let_through(*last_, judged)) kept.push_back(&judged);
  }
  for (const auto& [recipient, unit] : fates_of(outcomes, kept.size())) {
    const auto keys = outcome_keys_of(*last_, *kept[recipient]);
    count_outcome(store_, *policy_, keys, {unit, std::to_string(++told_), now, unmeant}, now);
  }
}

}  // namespace replygate

#include "milter/outcome/outcome_ledger.h"

#include <utility>

#include "policy/mail/address.h"
#include "policy/mail/text.h"
#include "policy/remote/log_line.h"

namespace replygate {
namespace {

// As our record has it; what is no address stays as the log has it.
std::string recorded_form(std::string_view address) {
  std::string lowered = to_lower(address);
  if (is_canonical_address(lowered)) return lowered;
  Address made = canonical_address(address, {.default_domain = "", .is_local = [](std::string_view) { return false; }});
  return made.full.empty() ? lowered : std::move(made.full);
}

}  // namespace

void OutcomeLedger::take(Instant time, const LogEvent& event, bool again) {
  again_ = again;
  id_ = event.id;
  if (!again) note_ids(event);
  trail_.take(time, event);
  if (!again && event.kind == LogEventKind::removed) file_.forget_id(event.id);
}

// Under which other ids a message goes on, for after a restart, when the trail knows it no more.
void OutcomeLedger::note_ids(const LogEvent& event) {
  const bool copy = event.kind == LogEventKind::copy && !event.next.empty();
  const bool from_queue = event.kind == LogEventKind::client && !event.next.empty();
  if (!copy && !from_queue) return;
  const std::string_view known = copy ? event.id : event.next;
  const std::int64_t number = file_.sending_of(known);
  if (number != 0) file_.add_id(copy ? event.next : event.id, number);
}

void OutcomeLedger::attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
                            bool handed_on) {
  if (again_) return;
  ++figures_.attempts;
  std::int64_t number = file_.sending_of(event.id);
  if (number == 0 && mail != nullptr) number = file_.sending_of(mail->id);
  if (number == 0) {
    ++figures_.unknown;
    return;
  }
  if (handed_on) return file_.add_id(next_id_of(event), number);
  note_attempt(now, number, event, recipient);
}

void OutcomeLedger::note_attempt(Instant now, std::int64_t number, const LogEvent& event, std::string_view recipient) {
  const std::string became = recorded_form(recipient);
  const std::string addressed = event.original.empty() ? became : recorded_form(event.original);
  auto state = file_.recipient(number, became);
  const auto original = became == addressed ? std::nullopt : file_.recipient(number, addressed);
  const bool forwarded = original && (!state || state->keys.empty());
  if (!state) state.emplace();
  if (forwarded) state->ref = original->ref;
  if (state->kind && is_final(*state->kind)) return;
  RemoteStatus status = status_of(event);
  status.recipient = recipient;
  const Explained explained = book_.explain(status);
  const auto kind = outcome_of(explained);
  if (!kind) return;
  const bool news = !state->kind || is_final(*kind);
  state->kind = *kind;
  state->reason = explained.reason;
  file_.put_recipient(number, became, *state);
  const auto sending = news ? file_.sending(number) : std::nullopt;
  if (!sending) return;
  MailOutcome& outcome = tell(now, *kind, *sending, forwarded ? addressed : became, *state);
  if (forwarded) outcome.became = became;
  outcome.status = std::move(status);
  outcome.explained = book_.explain(outcome.status);
}

void OutcomeLedger::expired(Instant now, const LoggedMail* mail) {
  if (again_) return;
  std::int64_t number = file_.sending_of(id_);
  if (number == 0 && mail != nullptr) number = file_.sending_of(mail->id);
  const auto sending = number == 0 ? std::nullopt : file_.sending(number);
  if (!sending) return;
  for (OutcomeFile::Standing& left : file_.unfinished(number)) {
    left.state.kind = outcome_of_expiry(left.state.reason);
    file_.put_recipient(number, left.address, left.state);
    MailOutcome& outcome = tell(now, *left.state.kind, *sending, left.address, left.state);
    outcome.status.recipient = left.address;
    outcome.status.told = Severity::permanent;
    outcome.status.id = id_;
    outcome.explained.reason = *left.state.kind == OutcomeKind::blocked ? left.state.reason : Reason::expired;
    outcome.explained.severity = Severity::permanent;
    outcome.explained.fault = info_of(outcome.explained.reason).fault;
  }
}

MailOutcome& OutcomeLedger::tell(Instant now, OutcomeKind kind, const Sending& sending, std::string_view recipient,
                                 const OutcomeFile::State& state) {
  ++figures_.outcomes;
  MailOutcome& outcome = outcomes_.emplace_back();
  outcome.time = now;
  outcome.kind = kind;
  outcome.sending = sending;
  outcome.recipient = recipient;
  outcome.ref = state.ref;
  return outcome;
}

std::deque<MailOutcome> OutcomeLedger::outcomes() { return std::exchange(outcomes_, {}); }

}  // namespace replygate

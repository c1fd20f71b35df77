#include "milter/outcome/outcome_ledger.h"

#include <utility>

#include "milter/outcome/recorded_form.h"
#include "policy/remote/handed_on.h"
#include "policy/remote/outcome_kind.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestMessageId = 500;
constexpr Duration kClocksDiffer = std::chrono::seconds(5);  // and a log may tell whole seconds

void explain_expiry(Explained& explained, Reason reason) {
  explained.reason = reason;
  explained.confidence = Confidence::code;
  explained.severity = Severity::permanent;
  explained.fault = info_of(reason).fault;
  explained.advice = {info_of(reason).advice};
}

}  // namespace

void OutcomeLedger::take(Instant time, const LogEvent& event, bool again) {
  again_ = again;
  const bool ours = may_be_ours(event);
  if (ours) {
    note_ids(event);
    note_name(event);
  }
  trail_.take(time, event);
  if (!ours) return;
  if (gives_up(event)) give_up(time, event.id);
  if (event.kind == LogEventKind::removed && message_of(event.id, time) != 0) file_.forget_id(event.id);
}

// A log may have lines of several hosts, which use the same ids. What is known of a message is of the host that took
// it; a host is ours where it had a message from the client from whom we let it through.
bool OutcomeLedger::may_be_ours(const LogEvent& event) const {
  return hosts_.empty() || hosts_.contains(event.host) || !trail_.is_known_elsewhere(event);
}

bool OutcomeLedger::is_ours(const LogEvent& event, const LoggedMail* mail, std::int64_t number) {
  constexpr std::size_t kMostHosts = 100;
  if (hosts_.contains(event.host)) return true;
  if (mail == nullptr) return may_be_ours(event);
  const auto sending = file_.sending(number);
  const bool same =
      sending && (mail->client_ip.empty() ? mail->sender == sending->sender : mail->client_ip == sending->client_ip);
  if (same && hosts_.size() < kMostHosts) hosts_.emplace(event.host);
  return same || (hosts_.empty() && !trail_.is_known_elsewhere(event));
}

// A line that is read again, from before a message, is of another one, which had the id before.
std::int64_t OutcomeLedger::message_of(std::string_view id, Instant time) {
  const std::int64_t number = file_.sending_of(id);
  if (!again_ || number == 0) return number;
  const auto sending = file_.sending(number);
  return sending && sending->time <= time + kClocksDiffer ? number : 0;
}

// It is told before the message is taken over, and so before we know the message.
void OutcomeLedger::note_name(const LogEvent& event) {
  constexpr std::size_t kMostNames = 10000;
  if (event.kind == LogEventKind::named) {
    if (names_.size() >= kMostNames) names_.clear();
    names_[std::string(event.id)] = event.text.substr(0, kLongestMessageId);
    return;
  }
  const auto name = event.kind == LogEventKind::sender ? names_.find(std::string(event.id)) : names_.end();
  if (name == names_.end()) return;
  const std::int64_t number = file_.sending_of(event.id);
  if (number != 0) file_.set_message_id(number, name->second);
  names_.erase(name);
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
  if (!again_) ++figures_.attempts;  // a predecessor has counted it
  std::int64_t number = message_of(event.id, now);
  if (number == 0 && mail != nullptr) number = message_of(mail->id, now);
  if (number == 0 || !is_ours(event, mail, number)) {
    if (!again_) ++figures_.unknown;
    return;
  }
  // What the trail has forgotten since, the file knows.
  const std::string_view next = next_id_of(event);
  const bool went_on = handed_on || (!next.empty() && next != event.id && file_.sending_of(next) == number);
  if (went_on) return file_.add_id(next, number);
  note_attempt(now, number, event, recipient);
}

// What an address that was not addressed has come from; what the MTA has added by itself has come from none.
OutcomeFile::State OutcomeLedger::state_of(std::int64_t number, const std::string& address, const LogEvent& event) {
  if (auto state = file_.recipient(number, address)) return *std::move(state);
  OutcomeFile::State state;
  if (event.original.empty()) return state;
  std::string addressed = recorded_form(event.original);
  const auto original = file_.recipient(number, addressed);
  if (!original) return state;
  state = {.original = std::move(addressed), .ref = original->ref, .local = original->local, .keys = original->keys};
  return state;
}

void OutcomeLedger::note_attempt(Instant now, std::int64_t number, const LogEvent& event, std::string_view recipient) {
  const std::string address = recorded_form(recipient);
  OutcomeFile::State state = state_of(number, address, event);
  auto attempt = attempt_of(book_, event, recipient, {state.kind, state.reason});
  if (!attempt) return;
  state.kind = attempt->kind;
  state.reason = attempt->reason;
  file_.put_recipient(number, address, state);
  if (!is_final(attempt->kind)) file_.note_deferral(number, address, event.id);
  const auto sending = attempt->news ? file_.sending(number) : std::nullopt;
  if (!sending) return;
  MailOutcome& outcome = tell(now, *sending, address, state);
  outcome.status = std::move(attempt->status);
  outcome.explained = book_.explain(outcome.status);
  if (attempt->reason != outcome.explained.reason) explain_expiry(outcome.explained, attempt->reason);
}

// Days after it came, when the trail may know it no more.
void OutcomeLedger::give_up(Instant now, std::string_view id) {
  const std::int64_t number = message_of(id, now);
  const auto sending = number == 0 ? std::nullopt : file_.sending(number);
  if (!sending) return;
  for (OutcomeFile::Standing& left : file_.deferred_under(number, id)) {
    const Reason last = left.state.reason;
    left.state.kind = outcome_of_expiry(last);
    file_.put_recipient(number, left.address, left.state);
    MailOutcome& outcome = tell(now, *sending, left.address, left.state);
    outcome.status.recipient = left.address;
    outcome.status.told = Severity::permanent;
    outcome.status.id = id;
    explain_expiry(outcome.explained, reason_of_expiry(last));
  }
}

MailOutcome& OutcomeLedger::tell(Instant now, const Sending& sending, const std::string& address,
                                 const OutcomeFile::State& state) {
  ++figures_.outcomes;
  MailOutcome& outcome = outcomes_.emplace_back();
  outcome.time = now;
  outcome.kind = *state.kind;
  outcome.sending = sending;
  outcome.recipient = state.original.empty() ? address : state.original;
  if (!state.original.empty()) outcome.became = address;
  outcome.ref = state.ref;
  outcome.keys = state.keys;
  outcome.local = state.local;
  return outcome;
}

std::deque<MailOutcome> OutcomeLedger::outcomes() { return std::exchange(outcomes_, {}); }

}  // namespace replygate

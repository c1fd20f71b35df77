#include <algorithm>

#include "milter/outcome/outcome_ledger.h"
#include "milter/outcome/recorded_form.h"

namespace replygate {
namespace {

constexpr int kMostNamed = 20;

// What a report may still tell of a recipient: a message that was delivered can bounce later, elsewhere.
bool is_news(const OutcomeFile::State& state, OutcomeKind kind) {
  // Who did not get it cannot complain of it.
  const bool failed = state.kind && is_final(*state.kind) && *state.kind != OutcomeKind::delivered;
  if (kind == OutcomeKind::complaint) return !state.complained && !failed;
  return kind != OutcomeKind::delivered && kind != OutcomeKind::deferred &&
         (!state.kind || !is_final(*state.kind) || *state.kind == OutcomeKind::delivered);
}

}  // namespace

// The newest first.
std::vector<std::int64_t> OutcomeLedger::named_by(const Report& report) {
  std::vector<std::int64_t> numbers;
  const auto add = [&numbers](const std::vector<std::int64_t>& more) {
    for (const std::int64_t number : more) {
      if (std::ranges::find(numbers, number) == numbers.end()) numbers.push_back(number);
    }
  };
  for (const std::string& id : report.queue_ids) add(file_.with_queue_id(id, kMostNamed));
  for (const std::string& id : report.message_ids) add(file_.with_message_id(id, kMostNamed));
  return numbers;
}

// Without an id of the message anybody could have written it. Whoever received the message could, all the same.
std::vector<OutcomeLedger::Read> OutcomeLedger::take(Instant now, const Report& report) {
  const std::vector<std::int64_t> numbers = named_by(report);
  std::vector<Read> result;
  for (const RemoteStatus& status : report.statuses) {
    Read read{.recipient = recorded_form(status.recipient)};
    const Explained explained = book_.explain(status);
    read.kind = outcome_of(status, explained);
    read.reason = explained.reason;
    const bool tells = read.kind && *read.kind != OutcomeKind::delivered && *read.kind != OutcomeKind::deferred;
    if (tells) read.fate = Read::Fate::unknown;
    for (const std::int64_t number : numbers) {
      if (read.fate != Read::Fate::unknown) break;
      read = take(now, number, status);
    }
    result.push_back(std::move(read));
  }
  return result;
}

// Providers hide who complains (RFC 6590), and a server that has passed mail on may name whom it passed it to. A
// complaint is about the sender: of several recipients nobody is named, and what they have in common is counted, once.
std::optional<OutcomeFile::State> OutcomeLedger::state_of_hidden(std::int64_t number, Read& read) {
  const bool complains = read.kind == OutcomeKind::complaint;
  OutcomeFile::Addressed all = file_.addressed(number);
  if (!all.only.empty()) {
    read.recipient = std::move(all.only);
    return file_.recipient(number, read.recipient);
  }
  if (!complains) return std::nullopt;
  read.recipient.clear();
  if (auto known = file_.recipient(number, "")) return known;
  OutcomeFile::State state;
  state.keys = std::move(all.keys);
  state.kind = all.reached ? OutcomeKind::delivered : OutcomeKind::failed;
  return state;
}

OutcomeLedger::Read OutcomeLedger::take(Instant now, std::int64_t number, const RemoteStatus& status) {
  const Explained explained = book_.explain(status);
  Read read{
      .recipient = recorded_form(status.recipient), .kind = outcome_of(status, explained), .reason = explained.reason};
  read.fate = Read::Fate::unknown;
  auto state = read.recipient.empty() ? std::nullopt : file_.recipient(number, read.recipient);
  if (!state) state = state_of_hidden(number, read);
  const auto sending = state ? file_.sending(number) : std::nullopt;
  if (!sending) return read;
  read.sending = *sending;
  read.fate = is_news(*state, *read.kind) ? Read::Fate::counted : Read::Fate::known;
  if (read.fate == Read::Fate::known) return read;
  const bool complains = *read.kind == OutcomeKind::complaint;
  const bool corrects = !complains && state->kind == OutcomeKind::delivered;
  const auto before = state->kind;
  state->kind = *read.kind;
  MailOutcome& outcome = tell(now, *sending, read.recipient, *state);
  if (complains) state->kind = before;
  state->complained |= complains;
  state->reason = explained.reason;
  file_.put_recipient(number, read.recipient, *state);
  outcome.source = MailOutcome::Source::report;
  outcome.corrects = corrects;
  outcome.status = status;
  outcome.explained = book_.explain(outcome.status);
  return read;
}

}  // namespace replygate

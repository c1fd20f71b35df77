#include "policy/scenario/replayed_outcomes.h"

#include <algorithm>

#include "policy/decide/dead_reports.h"
#include "policy/decide/outcomes.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

const std::string& address_of(const PastOutcome& outcome) {
  return outcome.became.empty() ? outcome.recipient : outcome.became;
}

}  // namespace

bool asks_for_outcomes(const Policy& policy) {
  const auto counts = [](const Rule& rule) {
    return std::ranges::any_of(unit_names(), [&](std::string_view name) {
      const Unit unit = *unit_from(name);
      return counts_outcomes(unit) && rule.counts(unit);
    });
  };
  return policy.needs().dead || std::ranges::any_of(policy.rules(), counts);
}

ReplayedOutcomes::ReplayedOutcomes(std::shared_ptr<const Policy> policy, MemoryStore& store)
    : policy_(std::move(policy)), store_(store), wanted_(asks_for_outcomes(*policy_)) {}

ReplayedOutcomes::Mail ReplayedOutcomes::mail_of(const PastTransaction& t,
                                                 const std::vector<std::optional<std::size_t>>& places,
                                                 const Record* record) const {
  Mail mail;
  const bool taken = record != nullptr && record->ending == Ending::accepted && !record->disposition.discard;
  for (std::size_t i = 0; i < t.recipients.size(); ++i) {
    const bool known = taken && !t.queue_id.empty() && places[i] && *places[i] < record->recipients.size();
    const JudgedRecipient* judged = known ? &record->recipients[*places[i]] : nullptr;
    Sent& sent = mail.recipients[to_lower(t.recipients[i].address)];
    if (judged == nullptr || sent.passed || !was_let_through(*record, *judged)) continue;
    sent = {.keys = outcome_keys_of(*record, *judged), .ours = is_ours(*record, judged->recipient), .passed = true};
    mail.passed = true;
  }
  mail.unmeant = taken && record->transaction.sender.form == Address::Form::null;
  return mail;
}

void ReplayedOutcomes::ended(const PastTransaction& t, const std::vector<std::optional<std::size_t>>& places,
                             const Record* record) {
  if (!wanted_) return;
  const auto [place, fresh] = mails_.try_emplace(name_of(t));
  if (!fresh) return;
  place->second = mail_of(t, places, record);
  recipients_ += static_cast<std::int64_t>(place->second.recipients.size());
  order_.emplace_back(t.time, place->first);
  forget_old(t.time);
}

void ReplayedOutcomes::forget_old(Instant now) {
  const OutcomeSettings& settings = policy_->settings().outcomes;
  while (!order_.empty() && (order_.front().first + settings.keep < now || recipients_ > settings.recipients)) {
    const auto found = mails_.find(order_.front().second);
    recipients_ -= static_cast<std::int64_t>(found->second.recipients.size());
    mails_.erase(found);
    order_.pop_front();
  }
}

void ReplayedOutcomes::add(PastOutcome outcome) {
  if (!wanted_) return;
  const std::pair counted(outcome.counted, outcome.number);
  waiting_.emplace_hint(waiting_.end(), counted, std::move(outcome));
}

void ReplayedOutcomes::count_first() {
  const auto first = waiting_.extract(waiting_.begin());
  count(first.mapped());
}

void ReplayedOutcomes::count_until(Instant now, std::uint64_t number) {
  while (!waiting_.empty() && waiting_.begin()->first < std::pair(now, number)) count_first();
}

// Of mail that is not known any more, or not yet, it is known at least who is dead. A recipient that the mail does not
// have was added by the mail server.
void ReplayedOutcomes::count(const PastOutcome& outcome) {
  const auto mail = mails_.find(outcome.mail);
  if (mail == mails_.end()) return note_dead(outcome, true);
  const auto sent = mail->second.recipients.find(to_lower(outcome.recipient));
  if (sent == mail->second.recipients.end()) return note_dead(outcome, mail->second.passed);
  note_dead(outcome, sent->second.passed && !sent->second.ours);
  if (sent->second.passed) count(outcome, mail->second, sent->second);
}

void ReplayedOutcomes::count(const PastOutcome& outcome, const Mail& mail, const Sent& sent) {
  const auto unit = unit_of(outcome.kind);
  if (!unit) return;
  const CountedOutcome counted{.unit = *unit,
                               .member = outcome.mail + ' ' + address_of(outcome),
                               .at = outcome.time,
                               .unmeant = mail.unmeant || !outcome.became.empty()};
  for (const OutcomeKey& key : sent.keys) {
    const auto charges = charges_of_outcome(*policy_, key, counted, outcome.counted);
    if (!charges.empty()) store_.take_now(charges, false, outcome.counted);
  }
}

// `known`: the daemon would have heard of it, and believed it.
void ReplayedOutcomes::note_dead(const PastOutcome& outcome, bool known) {
  const std::string address = to_lower(address_of(outcome));
  const auto found = dead_.find(address);
  if (outcome.kind == OutcomeKind::delivered) {
    if (found != dead_.end() && known) found->second.clear();
  } else if (outcome.kind == OutcomeKind::hard_bounce && !outcome.reported) {
    std::vector<std::int64_t>& times = found == dead_.end() ? dead_[address] : found->second;
    if (known) add_dead_report(times, outcome.time, policy_->settings().outcomes);
  }
}

std::optional<bool> ReplayedOutcomes::is_dead(std::string_view address, Instant now) const {
  const auto found = dead_.find(std::string(address));
  if (found == dead_.end()) return std::nullopt;
  return !found->second.empty() && now < dead_until(found->second, policy_->settings().outcomes);
}

}  // namespace replygate

#include "policy/scenario/replayed_outcomes.h"

#include <algorithm>
#include <boost/container_hash/hash.hpp>
#include <tuple>

#include "policy/decide/outcomes.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kSharedKeys = 4096;

}  // namespace

ReplayedOutcomes::ReplayedOutcomes(std::shared_ptr<const Policy> policy, MemoryStore& store)
    : policy_(std::move(policy)),
      store_(store),
      wanted_(asks_for_outcomes(*policy_)),
      last_keys_(kSharedKeys),
      dead_(policy_->settings().outcomes) {}

// Recipients of one message, and messages of one sender, have the same keys.
ReplayedOutcomes::Keys ReplayedOutcomes::shared(std::vector<OutcomeKey> keys) {
  std::size_t hash = 0;
  for (const OutcomeKey& key : keys) {
    boost::hash_combine(hash, key.rule);
    boost::hash_combine(hash, key.key);
  }
  Keys& last = last_keys_[hash % kSharedKeys];
  if (last == nullptr || *last != keys) last = std::make_shared<const std::vector<OutcomeKey>>(std::move(keys));
  return last;
}

ReplayedOutcomes::Mail ReplayedOutcomes::mail_of(const PastTransaction& t,
                                                 const std::vector<std::optional<std::size_t>>& places,
                                                 const Record* record) {
  Mail mail{.name = name_of(t), .time = t.time, .recipients = {}};
  const bool taken = record != nullptr && record->ending == Ending::accepted && !record->disposition.discard;
  mail.unmeant = taken && record->transaction.sender.form == Address::Form::null;
  mail.recipients.reserve(t.recipients.size());
  for (std::size_t i = 0; i < t.recipients.size(); ++i) {
    Sent& sent = mail.recipients.emplace_back();
    sent.address = to_lower(t.recipients[i].address);
    const bool known = taken && !t.queue_id.empty() && places[i] && *places[i] < record->recipients.size();
    const JudgedRecipient* judged = known ? &record->recipients[*places[i]] : nullptr;
    if (judged == nullptr || !was_let_through(*record, *judged)) continue;
    sent.keys = shared(outcome_keys_of(*record, *judged));
    sent.ours = is_ours(*record, judged->recipient);
    sent.passed = mail.passed = true;
  }
  std::ranges::stable_sort(mail.recipients, {}, [](const Sent& s) { return std::tuple(s.address, !s.passed); });
  const auto twice = std::ranges::unique(mail.recipients, {}, &Sent::address);
  mail.recipients.erase(twice.begin(), twice.end());
  return mail;
}

void ReplayedOutcomes::ended(const PastTransaction& t, const std::vector<std::optional<std::size_t>>& places,
                             const Record* record) {
  if (!wanted_ || t.recipients.empty()) return;
  dead_.pass(t.time);
  Mail mail = mail_of(t, places, record);
  if (by_name_.contains(std::string_view(mail.name))) return;
  recipients_ += std::ssize(mail.recipients);
  by_name_.insert(&mails_.emplace_back(std::move(mail)));
  forget_old(t.time);
}

void ReplayedOutcomes::forget_old(Instant now) {
  const OutcomeSettings& settings = policy_->settings().outcomes;
  while (!mails_.empty() && (mails_.front().time + settings.keep < now || recipients_ > settings.recipients)) {
    recipients_ -= std::ssize(mails_.front().recipients);
    by_name_.erase(&mails_.front());
    mails_.pop_front();
  }
}

void ReplayedOutcomes::add(PastOutcome outcome) {
  if (!wanted_) return;
  const std::pair counted(outcome.counted, outcome.number);
  waiting_.emplace_hint(waiting_.end(), counted, std::move(outcome));
}

void ReplayedOutcomes::count_first() {
  const auto first = waiting_.extract(waiting_.begin());
  dead_.pass(first.mapped().counted);
  count(first.mapped());
}

void ReplayedOutcomes::count_until(Instant now, std::uint64_t number) {
  while (!waiting_.empty() && waiting_.begin()->first < std::pair(now, number)) count_first();
}

// Of mail that is not known any more, or not yet, it is known at least who is dead. A recipient that the mail does not
// have was added by the mail server.
void ReplayedOutcomes::count(const PastOutcome& outcome) {
  const std::string address = to_lower(outcome.recipient);
  const auto known = by_name_.find(std::string_view(outcome.mail));
  if (known == by_name_.end()) return note_dead(outcome, true);
  Mail& mail = **known;
  if (address.empty()) return count_hidden(outcome, mail);
  const auto sent = std::ranges::lower_bound(mail.recipients, address, {}, &Sent::address);
  if (sent == mail.recipients.end() || sent->address != address) return note_dead(outcome, mail.passed);
  note_dead(outcome, sent->passed && !(sent->ours && outcome.became.empty()));
  if (sent->passed) count(outcome, mail, *sent);
}

void ReplayedOutcomes::count(const PastOutcome& outcome, const Mail& mail, Sent& sent) {
  if (outcome.kind == OutcomeKind::complaint && (sent.failed || std::exchange(sent.complained, true))) return;
  const bool ends = is_final(outcome.kind) && outcome.became.empty();
  if (ends) sent.failed = outcome.kind != OutcomeKind::delivered;
  charge(outcome, mail, outcome.became.empty() ? sent.address : outcome.became, *sent.keys);
}

// Of several recipients nobody is named. Who alone was let through is meant.
void ReplayedOutcomes::count_hidden(const PastOutcome& outcome, Mail& mail) {
  if (outcome.kind != OutcomeKind::complaint) return;
  CommonKeys common;
  bool reached = false;
  Sent* last = nullptr;
  for (Sent& sent : mail.recipients) {
    if (!sent.passed) continue;
    common.add(*sent.keys);
    reached |= !sent.failed;
    last = &sent;
  }
  if (common.sets() == 1) return count(outcome, mail, *last);
  if (reached) charge(outcome, mail, "", common.keys());
}

void ReplayedOutcomes::charge(const PastOutcome& outcome, const Mail& mail, const std::string& address,
                              const std::vector<OutcomeKey>& keys) {
  const auto unit = unit_of(outcome.kind);
  if (!unit) return;
  const CountedOutcome counted{.unit = *unit,
                               .member = outcome.mail + ' ' + address,
                               .at = outcome.time,
                               .unmeant = mail.unmeant || !outcome.became.empty()};
  count_outcome(store_, *policy_, keys, counted, outcome.counted);
}

// `known`: the daemon would have heard of it, and believed it.
void ReplayedOutcomes::note_dead(const PastOutcome& outcome, bool known) {
  if (!policy_->needs().dead) return;
  const std::string address = to_lower(outcome.became.empty() ? outcome.recipient : outcome.became);
  if (outcome.kind == OutcomeKind::delivered && known) {
    dead_.delivered(address, outcome.time);
  } else if (outcome.kind == OutcomeKind::hard_bounce && !outcome.reported) {
    dead_.bounced(address, outcome.time, known && !is_served(policy_->site(), address));
  }
}

}  // namespace replygate

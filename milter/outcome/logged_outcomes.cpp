#include "milter/outcome/logged_outcomes.h"

#include <algorithm>

#include "milter/outcome/recorded_form.h"
#include "policy/remote/outcome_kind.h"

namespace replygate {
namespace {

constexpr std::size_t kMostLoggedRecipients = 1'000'000;

std::uint64_t hash_of_id(std::string_view id) { return std::hash<std::string_view>()(id); }

}  // namespace

// What was addressed itself is no alias of another one.
LoggedOutcomes::States::value_type& LoggedOutcomes::state_of(const LoggedMail& mail, const LogEvent& event,
                                                             std::string_view recipient) {
  const auto [place, fresh] = mails_.try_emplace(name_of_logged(mail.id, mail.time));
  if (fresh) place->second.place = order_.insert(order_.end(), place->first);
  const auto [found, first] = place->second.states.try_emplace(recorded_form(recipient));
  State& state = found->second;
  if (!first) return *found;
  ++recipients_;
  const bool addressed = event.original.empty() || recorded_form(event.original) == found->first ||
                         std::ranges::find(mail.recipients, recipient) != mail.recipients.end();
  state.recipient = addressed ? recipient : event.original;
  state.made = !addressed;
  return *found;
}

void LoggedOutcomes::attempt(Instant now, const LoggedMail& mail, const LogEvent& event, std::string_view recipient) {
  States::value_type& one = state_of(mail, event, recipient);
  State& state = one.second;
  const auto attempt = attempt_of(book_, event, recipient, {state.kind, state.reason});
  if (!attempt) return;
  state.kind = attempt->kind;
  state.reason = attempt->reason;
  state.under = hash_of_id(event.id);
  if (attempt->news) tell(now, mail, one);
  forget_old();
}

void LoggedOutcomes::expired(Instant now, const LoggedMail& mail, std::string_view id) {
  const auto found = mails_.find(name_of_logged(mail.id, mail.time));
  if (found == mails_.end()) return;
  for (States::value_type& one : found->second.states) {
    State& state = one.second;
    if (!state.kind || is_final(*state.kind) || state.under != hash_of_id(id)) continue;
    state.kind = outcome_of_expiry(state.reason);
    tell(now, mail, one);
  }
}

void LoggedOutcomes::tell(Instant now, const LoggedMail& mail, const States::value_type& one) {
  const auto& [address, state] = one;
  take_({.time = now,
         .counted = now,
         .mail = name_of_logged(mail.id, mail.time),
         .recipient = state.recipient,
         .became = state.made ? address : "",
         .kind = *state.kind});
}

void LoggedOutcomes::over(const LoggedMail& mail) {
  const auto found = mails_.find(name_of_logged(mail.id, mail.time));
  if (found != mails_.end()) forget(found);
}

void LoggedOutcomes::forget(Mails::iterator mail) {
  recipients_ -= mail->second.states.size();
  order_.erase(mail->second.place);
  mails_.erase(mail);
}

void LoggedOutcomes::forget_old() {
  while (recipients_ > kMostLoggedRecipients && order_.size() > 1) forget(mails_.find(order_.front()));
}

}  // namespace replygate

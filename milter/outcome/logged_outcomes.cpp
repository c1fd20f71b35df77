#include "milter/outcome/logged_outcomes.h"

#include <algorithm>

#include "milter/outcome/recorded_form.h"
#include "policy/remote/log_line.h"

namespace replygate {
namespace {

constexpr std::size_t kMostLoggedRecipients = 1'000'000;

}  // namespace

// What was addressed itself is no alias of another one.
LoggedOutcomes::State& LoggedOutcomes::state_of(const LoggedMail& mail, const LogEvent& event,
                                                std::string_view recipient) {
  const std::string name = name_of_logged(mail.id, mail.time);
  const auto [place, fresh] = mails_.try_emplace(name);
  if (fresh) order_.push_back(name);
  const auto [found, first] = place->second.try_emplace(recorded_form(recipient));
  State& state = found->second;
  if (!first) return state;
  ++recipients_;
  const bool addressed = event.original.empty() || recorded_form(event.original) == found->first ||
                         std::ranges::find(mail.recipients, recipient) != mail.recipients.end();
  state.recipient = addressed ? recipient : event.original;
  if (!addressed) state.became = found->first;
  return state;
}

void LoggedOutcomes::attempt(Instant now, const LoggedMail& mail, const LogEvent& event, std::string_view recipient) {
  State& state = state_of(mail, event, recipient);
  if (state.kind && is_final(*state.kind)) return;
  RemoteStatus status = status_of(event);
  status.recipient = recipient;
  const Explained explained = book_.explain(status);
  const auto kind = outcome_of(status, explained);
  if (!kind) return;
  const bool news = !state.kind || is_final(*kind);
  state.kind = kind;
  state.reason = explained.reason;
  if (news) tell(now, mail, state);
  forget_old();
}

void LoggedOutcomes::expired(Instant now, const LoggedMail& mail) {
  const auto found = mails_.find(name_of_logged(mail.id, mail.time));
  if (found == mails_.end()) return;
  for (auto& [address, state] : found->second) {
    if (!state.kind || is_final(*state.kind)) continue;
    state.kind = outcome_of_expiry(state.reason);
    tell(now, mail, state);
  }
}

void LoggedOutcomes::tell(Instant now, const LoggedMail& mail, const State& state) {
  take_({.time = now,
         .counted = now,
         .mail = name_of_logged(mail.id, mail.time),
         .recipient = state.recipient,
         .became = state.became,
         .kind = *state.kind});
}

void LoggedOutcomes::forget_old() {
  while (recipients_ > kMostLoggedRecipients && order_.size() > 1) {
    const auto oldest = mails_.find(order_.front());
    recipients_ -= oldest->second.size();
    mails_.erase(oldest);
    order_.pop_front();
  }
}

}  // namespace replygate

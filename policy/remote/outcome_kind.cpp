#include "policy/remote/outcome_kind.h"

#include <algorithm>
#include <array>

#include "policy/remote/log_line.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 6> kKinds = {"delivered", "deferred", "hard_bounce",
                                                    "blocked",   "failed",   "complaint"};

// Who refuses the message because of who we are, or takes it for spam.
bool refuses_us(Reason reason, Fault fault) {
  switch (reason) {
    case Reason::ip_blocked:
    case Reason::no_ptr:
    case Reason::sender_rejected:
    case Reason::auth_failure:
    case Reason::rate_limited:
    case Reason::spam: return true;
    case Reason::policy: return fault == Fault::our_address || fault == Fault::our_dns || fault == Fault::our_auth;
    default: return false;
  }
}

bool is_dead_for_sure(const RemoteStatus& status, const Explained& explained) {
  return explained.dead.value_or(false) && (explained.reason != Reason::domain_unknown || status.code);
}

}  // namespace

std::string_view to_string(OutcomeKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::optional<OutcomeKind> outcome_kind_from(std::string_view name) {
  const auto it = std::ranges::find(kKinds, name);
  if (it == kKinds.end()) return std::nullopt;
  return static_cast<OutcomeKind>(it - kKinds.begin());
}

std::optional<OutcomeKind> outcome_of(const RemoteStatus& status, const Explained& explained) {
  if (!explained.is_status || explained.reason == Reason::own_refusal) return std::nullopt;
  if (explained.reason == Reason::complaint) return OutcomeKind::complaint;
  const Severity severity = explained.severity.value_or(info_of(explained.reason).usual);
  if (severity == Severity::success) return OutcomeKind::delivered;
  if (severity == Severity::transient) return OutcomeKind::deferred;
  if (status.unasked) return OutcomeKind::failed;
  if (refuses_us(explained.reason, explained.fault)) return OutcomeKind::blocked;
  return is_dead_for_sure(status, explained) ? OutcomeKind::hard_bounce : OutcomeKind::failed;
}

std::optional<DeliveryAttempt> attempt_of(StatusBook& book, const LogEvent& event, std::string_view recipient,
                                          const LastAttempt& before) {
  if (before.kind && is_final(*before.kind)) return std::nullopt;
  DeliveryAttempt attempt{.status = status_of(event)};
  attempt.status.recipient = recipient;
  const Explained explained = book.explain(attempt.status);
  const auto kind = outcome_of(attempt.status, explained);
  if (!kind) return std::nullopt;
  attempt.kind = *kind;
  attempt.reason = explained.reason;
  attempt.news = !before.kind || is_final(*kind);
  // Exim says it of each recipient.
  const bool given_up = attempt.reason == Reason::expired && is_final(*kind) && !attempt.status.code;
  if (given_up && before.kind) {
    attempt.kind = outcome_of_expiry(before.reason);
    attempt.reason = reason_of_expiry(before.reason);
  }
  return attempt;
}

OutcomeKind outcome_of_expiry(Reason last) {
  return refuses_us(last, info_of(last).fault) ? OutcomeKind::blocked : OutcomeKind::failed;
}

Reason reason_of_expiry(Reason last) {
  return outcome_of_expiry(last) == OutcomeKind::blocked ? last : Reason::expired;
}

}  // namespace replygate

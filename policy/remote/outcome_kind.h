#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/remote/log_event.h"
#include "policy/remote/status_book.h"

// What became of a message for one of its recipients. Pure; any thread.
namespace replygate {

// clang-format off: a table, one row an entry
enum class OutcomeKind : std::uint8_t {
  delivered,
  deferred,     // not yet: it will be tried again
  hard_bounce,  // the address is dead
  blocked,      // they refuse us: for reputation, as spam, for want of authentication
  failed,       // given up for any other reason
  complaint,    // delivered, and its recipient has reported it as spam
};
// clang-format on

std::string_view to_string(OutcomeKind kind);
std::optional<OutcomeKind> outcome_kind_from(std::string_view name);

// Nothing more becomes of it, reports aside.
constexpr bool is_final(OutcomeKind kind) { return kind != OutcomeKind::deferred && kind != OutcomeKind::complaint; }

// What a status, explained, makes of the attempt; nothing where it is no attempt to deliver, as a refusal of our own.
// What our server has given up without asking anybody has failed. That a domain does not exist makes an address dead
// only where a mail server has answered so: a resolver of ours that is out of order says it of every domain.
std::optional<OutcomeKind> outcome_of(const RemoteStatus& status, const Explained& explained);

// What an attempt to deliver has made of a recipient.
struct DeliveryAttempt {
  RemoteStatus status;
  OutcomeKind kind = OutcomeKind::deferred;
  Reason reason = Reason::unspecified;
  bool news = false;  // the first deferral, or the end
};

// What the attempt before has made of him.
struct LastAttempt {
  std::optional<OutcomeKind> kind;  // nothing: there was none
  Reason reason = Reason::unspecified;
};

// Nothing where it was no attempt, or the recipient's mail had come to its end before.
std::optional<DeliveryAttempt> attempt_of(StatusBook& book, const LogEvent& event, std::string_view recipient,
                                          const LastAttempt& before);

// What a message that was given up after deferrals has failed for, by what the last one said.
OutcomeKind outcome_of_expiry(Reason last);
Reason reason_of_expiry(Reason last);

}  // namespace replygate

#pragma once

#include <cstdint>
#include <limits>

#include "policy/decide/gate.h"
#include "policy/decide/shares.h"

// What a gate has to know of an ask to charge it. Pure; any thread.
namespace replygate {

inline constexpr std::uint32_t kNoGroup =
    std::numeric_limits<std::uint32_t>::max();  // is read alone, and keeps nobody out

inline bool counts_even_if_full(const Ask& ask, const Question& question) {
  return ask.rule->count == Count::attempts || (question.counting_only && !question.mta_refused);
}

// Rules that do not stop the mail must not keep others from counting it.
inline bool may_refuse(const Ask& ask) { return ask.mode == Mode::enforce && ask.rule->refuses(); }

// What a share is a share of is all mail that is let through, whatever the rule's other limits say of it.
inline bool counts_whole(const Ask& ask) { return ask.purpose == Ask::Purpose::whole && !may_refuse(ask); }

// A connection has no end that could refuse it: it is counted for good once it is let in. In a rule that refuses
// nothing what is admitted is returned where the message is not accepted.
inline bool is_final(const Ask& ask) {
  const bool for_good = ask.rule->count == Count::admitted && may_refuse(ask);
  return ask.rule->count == Count::attempts || for_good || ask.limit.unit == Unit::connections;
}

inline bool compares(const Ask& ask) {
  return ask.purpose == Ask::Purpose::limit || ask.purpose == Ask::Purpose::whole;
}

// A share is judged once both of its numbers are known.
inline std::uint32_t group_of(const Ask& ask) {
  if (is_share(ask) || ask.purpose == Ask::Purpose::escalation || ask.purpose == Ask::Purpose::client) return kNoGroup;
  return may_refuse(ask) ? 0 : static_cast<std::uint32_t>(ask.rule->index + 1);
}

}  // namespace replygate

#pragma once

#include <vector>

#include "policy/count/charges.h"
#include "policy/decide.h"

namespace replygate {

// What is to be counted once a decision is made, at cost 1 each: refusals and unknown recipients for the rules that
// limit them, refusals of a rule for its own escalation, clients that have passed greylisting. Pure.
std::vector<Ask> asks_after(const Policy& policy, const Facts& facts, const Question& question, const Charges& charges,
                            const std::vector<std::optional<Reading>>& readings, const Verdict& verdict);

}  // namespace replygate

#pragma once

#include <vector>

#include "policy/decide/decide.h"
#include "policy/decide/inquiry.h"

namespace replygate {

// What is to be counted, at cost 1 each, because of a decision. Pure.

// Once it is made: clients that have passed greylisting.
std::vector<Ask> asks_of_passing(const Inquiry& inquiry, const std::vector<std::optional<Reading>>& readings);

// Once its reply is given, if it has one: refusals for the rules that limit them, those of a rule for its own
// escalation, observed ones included; and recipients that the MTA has refused.
std::vector<Ask> asks_of_reply(const Policy& policy, const Facts& facts, const Question& question,
                               const Verdict& verdict);

}  // namespace replygate

#pragma once

#include <string>
#include <vector>

#include "milter/outcome/past_records.h"
#include "policy/base/time.h"
#include "policy/rules/policy.h"

namespace replygate {

// What commands about the past are told of where it is.
struct PastOptions {
  std::string history;             // folder; "": where the policy has it
  std::vector<std::string> files;  // logs of a mail server, in place of a history
};

// Where that is; `policy` may be null.
PastSource source_of(const PastOptions& options, const Policy* policy);

// "7d" before now, or RFC 3339; the begin of time for "". Nothing, with a complaint of `command`, for anything else.
std::optional<Instant> since_of(std::string_view command, const std::string& since);

// What was read, and what of it is missing, on stderr.
void print_troubles(const PastFigures& figures);

}  // namespace replygate

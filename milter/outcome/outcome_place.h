#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/load/diagnostic.h"
#include "policy/rules/policy.h"

namespace replygate {

// What to do where the folder for outcomes.db is missing, or may not be written.
std::string help_for_outcomes();

// A policy that keeps no counters in a file beside which outcomes could be, names no file for them, and has no folder
// on this host. `file`: where the policy stands, whose text is `text`.
std::optional<Diagnostic> outcomes_without_folder(const std::string& file, std::string_view text, const Policy& policy);

}  // namespace replygate

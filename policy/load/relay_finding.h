#pragma once

#include <optional>
#include <string>

#include "policy/load/diagnostic.h"
#include "policy/rules/policy.h"

namespace replygate {

// What is known of strangers who relay through a policy.
struct RelayFinding {
  std::string proved;                 // in one line; "" where nothing is
  std::optional<Diagnostic> warning;  // they can, or it is undecided
};

// `file`: where the policy stands. Takes as long as the proof does. Pure; any thread.
RelayFinding find_relaying(const std::string& file, const Policy& policy);

}  // namespace replygate

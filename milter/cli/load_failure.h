#pragma once

#include <span>

#include "policy/load/diagnostic.h"

namespace replygate {

// Prints diagnostics on stderr.
void print_diagnostics(std::span<const Diagnostic> diagnostics, const Sources& sources);

// The exit status for what could not be loaded: its file is missing, or it is in error.
int status_of_failure(std::span<const Diagnostic> diagnostics);

}  // namespace replygate

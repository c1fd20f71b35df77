#pragma once

#include <optional>
#include <string>
#include <vector>

namespace replygate {

// Runs a program and waits for it. For commands that people start: the daemon never starts one.
struct ProgramResult {
  int status = 0;        // exit status
  std::string output;    // stdout
  std::string messages;  // stderr, where it is kept
};

enum class Messages : unsigned char { shown, kept };

// Nothing where it cannot be started. `words`: the program, found by PATH and the folders of administrators, and its
// arguments.
std::optional<ProgramResult> run_program(const std::vector<std::string>& words, Messages messages = Messages::shown);

}  // namespace replygate

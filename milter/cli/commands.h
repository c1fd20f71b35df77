#pragma once

#include <string>
#include <vector>

// The subcommands. Each writes results to stdout and messages to stderr and returns the exit status of the process.
namespace replygate {

enum ExitStatus : int {
  kFine = 0,
  kFound = 1,  // a difference or a refusal was found
  kUsage = 64,
  kNoInput = 66,
  kUnavailable = 69,  // the daemon or a store cannot be reached, a socket cannot be opened
  kInternal = 70,
  kPolicyError = 78,
};

struct CodesOptions {
  bool json = false;
};
int codes_command(const CodesOptions& options);

struct ExplainOptions {
  std::string what;
  std::string at;  // "" for all commands
  bool json = false;
};
int explain_command(const ExplainOptions& options);

struct CheckOptions {
  std::string file;
  bool show = false;
  bool strict = false;
  bool json = false;
};
int check_command(const CheckOptions& options);

struct RunOptions {
  std::string file;
};
int run_command(const RunOptions& options);

}  // namespace replygate

#pragma once

#include <cstdint>
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

struct TestOptions {
  std::vector<std::string> files;
  std::string junit;  // "" for no report
  bool json = false;
};
int test_command(const TestOptions& options);

struct TryOptions {
  std::string file;
  std::string client;
  std::string client_name;
  std::string listener;
  std::string helo;
  std::string user;
  std::string mechanism;
  std::string from;
  std::vector<std::string> to;
  std::string tls;
  std::string size;
  std::string mailbox_used;
  std::string route;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // a file
  std::string session;               // a file with an SMTP dialogue
  std::string at;                    // RFC 3339; "" for now
  std::int64_t repeat = 1;
  std::string every = "0s";
  std::string state = "empty";  // or a file
  bool json = false;
};
int try_command(const TryOptions& options);

struct ImportOptions {
  std::string format;  // postfwd, policyd-rate-limit, access
  std::string file;
  std::string as;  // of access: what its keys are
};
int import_command(const ImportOptions& options);

struct RunOptions {
  std::string file;
};
int run_command(const RunOptions& options);

}  // namespace replygate

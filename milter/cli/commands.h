#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "milter/cli/past.h"
#include "milter/exit_status.h"

// The subcommands. Each writes results to stdout and messages to stderr and returns the exit status of the process.
namespace replygate {

struct CodesOptions {
  bool json = false;
};
int codes_command(const CodesOptions& options);

struct ExplainOptions {
  std::vector<std::string> what;  // a code, a text, "-", or files
  std::string at;                 // "" for all commands
  std::string statuses;           // folder with the administrator's own knowledge
  bool json = false;
  bool jsonl = false;
};
int explain_command(const ExplainOptions& options);

// Where the package keeps the policy.
constexpr std::string_view kPolicyFile = "/etc/replygate/replygate.toml";

struct CheckOptions {
  std::string file{kPolicyFile};
  bool show = false;
  bool strict = false;
  bool json = false;
};
int check_command(const CheckOptions& options);

struct TestOptions {
  std::vector<std::string> files{std::string(kPolicyFile)};
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
  std::int64_t repeat = 0;           // 0: once, or twice with an outcome
  std::string outcome;               // "hard_bounces = 8", of each transaction
  std::string every = "0s";
  std::string state = "empty";       // or a file
  std::vector<std::string> lookups;  // "NAME KEY VALUE"
  bool ask = false;                  // live sources are asked
  bool json = false;
};
int try_command(const TryOptions& options);

struct ImportOptions {
  std::string format;                 // postfwd, policyd-rate-limit, access …
  std::string file;                   // "-" for standard input
  std::optional<std::string> prefix;  // of the names of rules; else made of the file's name
  // Of access; see AccessSettings.
  std::string as;
  std::string type;
  std::string delimiter;
  bool dotted_parents = false;
};
int import_command(const ImportOptions& options);

struct ReplayOptions : PastOptions {
  std::string file;
  std::string since;                             // "7d", RFC 3339, "" for all
  std::optional<std::int64_t> max_new_refusals;  // more are a finding
  int count = 5;                                 // keys of a rule that are shown
  bool json = false;
};
int replay_command(const ReplayOptions& options);

struct SuggestOptions : PastOptions {
  std::string since;     // "28d", RFC 3339, "" for all
  double head_room = 2;  // limits are so many times what was sent
  bool json = false;
};
int suggest_command(const SuggestOptions& options);

struct ReportOptions : PastOptions {
  std::string since = "1d";
  std::string mail;      // to whom; "": no message
  std::string statuses;  // folder with the administrator's own knowledge
  bool json = false;
};
int report_command(const ReportOptions& options);

// How to reach the running daemon, and what to print.
struct ControlOptions {
  std::string socket = "/run/replygate/control.sock";
  bool json = false;
};
int status_command(const ControlOptions& options);
int rules_command(const ControlOptions& options);
int reload_command(const ControlOptions& options);

struct DrainOptions : ControlOptions {
  bool off = false;
};
int drain_command(const DrainOptions& options);

struct QuotaListOptions : ControlOptions {
  std::string rule;  // "": each
  int count = 20;
};
int quota_list_command(const QuotaListOptions& options);

struct QuotaOptions : ControlOptions {
  std::string key;
  std::string rule;  // "": all that have such a key
  double times = 2;  // of raise
  std::string until = "24h";
  std::string reason;
};
int quota_show_command(const QuotaOptions& options);
int quota_reset_command(const QuotaOptions& options);
int quota_raise_command(const QuotaOptions& options);

struct OutcomeOptions : ControlOptions {
  std::string address;
};
int outcome_command(const ControlOptions& options);
int outcome_dead_command(const OutcomeOptions& options);
int outcome_clear_command(const OutcomeOptions& options);

struct TopOptions : ControlOptions {
  int count = 10;
  bool once = false;
};
int top_command(const TopOptions& options);

struct TailOptions : ControlOptions {
  std::string address;
  std::string rule;
  int code = 0;
  std::string ip;
  bool outcomes = false;
};
int tail_command(const TailOptions& options);

struct WhyOptions : ControlOptions {
  std::string word;
  int count = 20;
};
int why_command(const WhyOptions& options);

struct DoctorOptions {
  std::string file{kPolicyFile};
  std::string socket = "/run/replygate/control.sock";
  std::string postfix;   // folder of main.cf; "": the standard one
  std::string sendmail;  // folder of sendmail.mc; "": the standard one
  bool json = false;
};
int doctor_command(const DoctorOptions& options);

struct InitOptions {
  std::string file{kPolicyFile};
  std::vector<std::string> domains;   // as [site] local_domains; none: what Postfix says
  std::vector<std::string> networks;  // as [site] trusted_networks; none: what Postfix says
  std::string notify;                 // an address; "" for nobody
  std::string postfix;                // folder of main.cf; "": the standard one
  bool replace = false;               // a policy that is there is kept beside the new one
  bool print = false;                 // writes nothing
};
int init_command(const InitOptions& options);

struct SetupOptions {
  std::string mta;  // postfix, sendmail
  std::string file{kPolicyFile};
  std::string folder;  // of the MTA's settings; "": the standard one
  bool apply = false;
  bool remove = false;  // have the MTA ask us no more
};
int setup_command(const SetupOptions& options);

struct RunOptions {
  std::string file;
  bool as_root = false;  // do not refuse to
};
int run_command(const RunOptions& options);

}  // namespace replygate

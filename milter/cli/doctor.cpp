#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/cli/colors.h"
#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/policy_at_hand.h"
#include "milter/cli/table.h"
#include "milter/files.h"
#include "milter/host/local.h"
#include "milter/host/person.h"
#include "milter/host/postfix.h"
#include "milter/host/sendmail.h"
#include "milter/log/say.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

// The command that has the MTA ask replygate, with what these options say of the host.
std::string setup_command_line(const DoctorOptions& options) {
  std::string line = "replygate setup postfix --apply";
  if (options.file != DoctorOptions().file) line += " -c " + options.file;
  if (!options.postfix.empty()) line += " --folder " + options.postfix;
  return line;
}

// The daemon's user; doctor itself may read everything.
bool daemon_may_read(const std::string& file) {
  const auto user = Person::named("replygate");
  return !user || user->may(file, 4) || look_for(file) != Presence::present;
}

Symptom of_policy(const DoctorOptions& options, const PolicyAtHand& hand) {
  if (!daemon_may_read(options.file)) {
    return {Level::error, "policy", options.file + ": the user replygate may not read it",
            "chmod 0644 " + options.file};
  }
  if (hand.whole()) {
    const auto warnings = std::ranges::count(hand.loaded.diagnostics, Diagnostic::Level::warning, &Diagnostic::level);
    std::string what = fmt::format("{}: {}", options.file, counted(hand.policy->named_rules(), "rule"));
    if (warnings > 0) what += fmt::format(", {}; `replygate check` says more", counted(warnings, "warning"));
    return {Level::fine, "policy", what, ""};
  }
  const auto& all = hand.loaded.diagnostics;
  const auto first = std::ranges::find(all, Diagnostic::Level::error, &Diagnostic::level);
  std::string what = first == all.end() ? "cannot be read" : first->message;
  if (!what.starts_with(options.file)) what.insert(0, options.file + ": ");
  return {Level::error, "policy", what + "; what follows knows its settings as far as they can be read",
          "replygate check " + options.file};
}

// An MTA that was never set up says nothing where the other one is.
Symptoms of_mta(const DoctorOptions& options, const Policy& policy) {
  auto postfix = read_postfix(options.postfix);
  const auto sendmail = read_sendmail(options.sendmail);
  Symptoms all;
  if (postfix) {
    postfix->setup = setup_command_line(options);
    all = check_postfix(*postfix, policy);
    const Symptoms milters = check_postfix_milters(*postfix, policy);
    // Where nobody answers nothing is as it should be.
    if (!milters.empty()) std::erase_if(all, [](const Symptom& s) { return s.level == Level::fine; });
    all.insert(all.end(), milters.begin(), milters.end());
  }
  if (sendmail) {
    const Symptoms more = check_sendmail(*sendmail, policy);
    all.insert(all.end(), more.begin(), more.end());
  }
  if (!all.empty()) return all;
  if (!postfix.error().empty()) {
    return {{Level::error, "postfix", "is installed, and its settings cannot be read: " + postfix.error(),
             "dpkg-reconfigure postfix, or name the folder of main.cf with --postfix"}};
  }
  return {{Level::error, "mta", "there is neither a Postfix nor a Sendmail here",
           "--postfix FOLDER or --sendmail FOLDER name theirs"}};
}

Symptoms all_symptoms(const DoctorOptions& options, const PolicyAtHand& hand) {
  const Policy& policy = *hand.policy;
  Symptoms all{of_policy(options, hand)};
  const auto add = [&all](Symptoms more) { all.insert(all.end(), more.begin(), more.end()); };
  add(of_mta(options, policy));
  add(check_sockets(policy));
  add(check_store(policy));
  add(check_log(policy));
  add(check_clock());
  add(check_daemon(options.socket, policy, hand.whole()));
  return all;
}

std::string_view word_of(Level level) {
  return level == Level::fine ? "ok" : level == Level::warning ? "warning" : "error";
}

void print(const Symptoms& symptoms) {
  constexpr std::size_t kIndent = 19;
  const Colors c = colors_of(stdout);
  const std::size_t width = terminal_width();
  for (const Symptom& f : symptoms) {
    const char* paint = f.level == Level::fine ? c.good : f.level == Level::warning ? c.warning : c.bad;
    fmt::print("{}{:<8}{} {:<9} {}\n", paint, word_of(f.level), c.off, f.subject, wrapped(f.what, kIndent, width));
    if (!f.mend.empty()) fmt::print("{:18} fix: {}\n", "", wrapped(f.mend, kIndent + 5, width));
  }
}

void print_json(const Symptoms& symptoms) {
  boost::json::array list;
  for (const Symptom& f : symptoms) {
    list.push_back(
        boost::json::object{{"level", word_of(f.level)}, {"subject", f.subject}, {"what", f.what}, {"mend", f.mend}});
  }
  fmt::print("{}\n", boost::json::serialize(list));
}

}  // namespace

int doctor_command(const DoctorOptions& options) {
  const PolicyAtHand hand = policy_at_hand(options.file);
  const Symptoms symptoms = all_symptoms(options, hand);
  if (!hand.whole()) print_diagnostics(hand.loaded.diagnostics, hand.loaded.sources);
  options.json ? print_json(symptoms) : print(symptoms);
  if (!hand.whole()) return status_of_failure(hand.loaded.diagnostics);
  return std::ranges::all_of(symptoms, [](const Symptom& f) { return f.level == Level::fine; }) ? kFine : kFound;
}

}  // namespace replygate
